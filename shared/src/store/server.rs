//! What a Redis server says of itself, and what about it may lose timers.

use redis::Value;

use super::StoreError;

/// What Redis says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// Version: that of Valkey where it is one, else of Redis.
    pub version: String,
    /// What it does when memory is full: anything but `noeviction` loses timers.
    pub maxmemory_policy: String,
    /// It writes every command to an append-only file.
    pub append_only: bool,
    /// Its last snapshot failed, or its last write to the append-only file did.
    pub writing_failed: bool,
    /// `master` or `slave`.
    pub role: String,
    /// Bytes in use.
    pub used_memory: u64,
    /// The most bytes it may use; 0 is no limit.
    pub maxmemory: u64,
}

/// Something about a server's own settings that may lose timers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// The server's setting.
    pub what: &'static str,
    /// How it is, and what comes of that.
    pub how: String,
    /// What to set.
    pub mend: &'static str,
}

impl Server {
    pub(super) fn told(info: Value) -> Result<Self, StoreError> {
        let text = match info {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
            _ => return Err(StoreError::Unreadable("answer of INFO")),
        };
        Ok(Self::read(&text))
    }

    /// What of its settings may lose timers. Read from `INFO`: a user of ours may not ask `CONFIG`.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        if self.maxmemory_policy != "noeviction" {
            found.push(Weakness {
                what: "maxmemory-policy",
                how: format!("is {}: timers can vanish when memory is full", self.maxmemory_policy),
                mend: "set `maxmemory-policy noeviction`",
            });
        }
        if !self.append_only {
            found.push(Weakness {
                what: "appendonly",
                how: "no append-only file: a crash loses the timers of the last minutes".to_owned(),
                mend: "set `appendonly yes` and `appendfsync everysec`",
            });
        }
        found
    }

    fn read(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
        };
        let bytes = |name: &str| field(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let failed = |name: &str| field(name).is_some_and(|value| value != "ok");
        Self {
            version: field("valkey_version").or_else(|| field("redis_version")).unwrap_or_default(),
            maxmemory_policy: field("maxmemory_policy").unwrap_or_default(),
            append_only: field("aof_enabled").as_deref() == Some("1"),
            writing_failed: failed("rdb_last_bgsave_status") || failed("aof_last_write_status"),
            role: field("role").unwrap_or_default(),
            used_memory: bytes("used_memory"),
            maxmemory: bytes("maxmemory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_says_is_read_by_name() {
        let info = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nused_memory:900\r\nused_memory_human:9\r\n\
                    maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n\
                    rdb_last_bgsave_status:ok\r\naof_last_write_status:err\r\nrole:master\r\n";
        let expected = Server {
            version: "7.0.15".to_owned(),
            maxmemory_policy: "allkeys-lru".to_owned(),
            append_only: true,
            writing_failed: true,
            role: "master".to_owned(),
            used_memory: 900,
            maxmemory: 0,
        };
        assert_eq!(Server::read(info), expected);
        let what: Vec<_> = expected.weaknesses().iter().map(|it| it.what).collect();
        assert_eq!(what, ["maxmemory-policy"]);
        let bare: Vec<_> = Server::default().weaknesses().iter().map(|it| it.what).collect();
        assert_eq!(bare, ["maxmemory-policy", "appendonly"]);
    }
}
