//! What the benchmark asks of Redis itself.

use std::time::Duration;

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value, cmd};

/// Commands here may touch a million keys.
const PATIENCE: Duration = Duration::from_mins(1);
/// Scripts shorter than this are not kept in the slow log, microseconds.
const SLOW_US: u32 = 1_000;
/// Entries of the slow log.
const SLOW_ENTRIES: u32 = 4_096;

/// A connection for questions.
pub(super) struct RedisInfo(MultiplexedConnection);

impl RedisInfo {
    /// Connects.
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(url)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        connection.map(Self).context("cannot connect to Redis")
    }

    /// Empties it, and forgets what was slow.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
        let Self(connection) = self;
        cmd("FLUSHALL").arg("SYNC").exec_async(connection).await?;
        cmd("CONFIG").arg("SET").arg("slowlog-log-slower-than").arg(SLOW_US).exec_async(connection).await?;
        cmd("CONFIG").arg("SET").arg("slowlog-max-len").arg(SLOW_ENTRIES).exec_async(connection).await?;
        cmd("CONFIG").arg("RESETSTAT").exec_async(connection).await?;
        self.forget_slow().await
    }

    /// Forgets what was slow.
    pub(super) async fn forget_slow(&mut self) -> anyhow::Result<()> {
        Ok(cmd("SLOWLOG").arg("RESET").exec_async(&mut self.0).await?)
    }

    /// A number of `INFO`.
    pub(super) async fn number(&mut self, field: &str) -> anyhow::Result<u64> {
        let info: String = cmd("INFO").arg("everything").query_async(&mut self.0).await?;
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = line.with_context(|| format!("INFO has no {field}"))?.trim();
        value.parse().with_context(|| format!("INFO {field} is no number"))
    }

    /// Entries of a sorted set.
    pub(super) async fn entries(&mut self, key: &str) -> anyhow::Result<u64> {
        Ok(cmd("ZCARD").arg(key).query_async(&mut self.0).await?)
    }

    /// Makes every entry of a sorted set due, at one instant.
    pub(super) async fn make_due(&mut self, key: &str) -> anyhow::Result<()> {
        let command = cmd("ZUNIONSTORE").arg(key).arg(1).arg(key).arg("WEIGHTS").arg(0).to_owned();
        Ok(command.exec_async(&mut self.0).await?)
    }

    /// The longest script since it was forgotten, milliseconds; 0 if none took a millisecond.
    pub(super) async fn slowest_script_ms(&mut self) -> anyhow::Result<f64> {
        let log: Vec<Value> = cmd("SLOWLOG").arg("GET").arg(SLOW_ENTRIES).query_async(&mut self.0).await?;
        let longest = log.iter().filter_map(script_us).max().unwrap_or(0);
        Ok(Duration::from_micros(longest).as_secs_f64() * 1e3)
    }

    /// Mean time of a script since [`Self::clear`], microseconds, and how many ran.
    pub(super) async fn scripts(&mut self) -> anyhow::Result<(f64, u64)> {
        let info: String = cmd("INFO").arg("commandstats").query_async(&mut self.0).await?;
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:")).unwrap_or_default();
        let field = |name: &str| {
            line.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        let mean = field("usec_per_call").and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let calls = field("calls").and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((mean, calls))
    }
}

/// Microseconds of an entry of the slow log (`[id, time, microseconds, [command, ...], ...]`), if it is a
/// script.
fn script_us(entry: &Value) -> Option<u64> {
    let Value::Array(fields) = entry else { return None };
    let [_, _, Value::Int(us), Value::Array(command), ..] = &fields[..] else { return None };
    let Some(Value::BulkString(name)) = command.first() else { return None };
    name.eq_ignore_ascii_case(b"EVALSHA").then(|| u64::try_from(*us).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(command: &str, us: i64) -> Value {
        let command = Value::Array(vec![Value::BulkString(command.as_bytes().to_vec())]);
        Value::Array(vec![Value::Int(1), Value::Int(2), Value::Int(us), command])
    }

    #[test]
    fn only_scripts_count_as_slow_scripts() {
        assert_eq!(script_us(&entry("EVALSHA", 1_500)), Some(1_500));
        assert_eq!(script_us(&entry("FLUSHALL", 9_000)), None);
        assert_eq!(script_us(&Value::Nil), None);
    }
}
