//! Retention on real processes, in virtual time: first what names a person goes, then the ids of events, then
//! the case.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use tests::fleet::client::{Client, sandbox_messages};
use tests::fleet::{Enti, Fleet};

/// How long each step may take on a busy machine.
const STEP: Duration = Duration::from_secs(90);
/// A citizen that nothing else in this fleet knows.
const CITIZEN: &str = "RSSMRA85T10A562S";
const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_its_time_leaves_the_store() -> anyhow::Result<()> {
    let mut fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let mut store = Store::connect(fleet.brokers.redis_url()).await?;
    sweep_every_second(&mut fleet, &mut store).await?;
    client.publish_event(&event()).await?;
    until(&mut client, "messaggio.consegnato").await?;
    assert!(store.holder(CITIZEN).await?.is_some(), "the case should be there");

    store.advance(31).await?;
    store.until_gone(CITIZEN).await?;
    assert_eq!(store.keys("c:").await?, 1, "the case itself stays");
    client.publish_event(&event()).await?;
    client.publish_event(&json_with_id("altro")).await?;
    until(&mut client, "messaggio.inviato").await?;
    assert_eq!(sandbox_messages(fleet.ports.sandbox).await?.len(), 2, "the repeated event sends nothing");
    until(&mut client, "messaggio.consegnato").await?;

    store.advance(31 + 61).await?;
    store.until_none("i:").await?;
    assert_eq!(store.keys("c:").await?, 2);

    store.advance(31 + 1_826).await?;
    store.until_none("c:").await?;
    for rest in ["s:", "n:", "f:"] {
        assert_eq!(store.keys(rest).await?, 0, "{rest} outlives its case");
    }
    fleet.shutdown().await
}

async fn sweep_every_second(fleet: &mut Fleet, store: &mut Store) -> anyhow::Result<()> {
    fleet.terminate("scheduler").await?;
    // The turn of the scheduler that ended lasts a day.
    let _: () = store.redis.del("pm:{borgochiaro}:sweep").await?;
    let mut settings = std::fs::OpenOptions::new().append(true).open(fleet.config())?;
    writeln!(settings, "\n[retention]\nsweep = \"1s\"")?;
    fleet.start_service("scheduler")?;
    fleet.wait_ready().await
}

fn event() -> Value {
    json_with_id("protocollata")
}

fn json_with_id(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://casa.example.it", "type": "domanda.protocollata",
        "subject": format!("pratica-{id}"), "time": "2026-11-21T09:00:00+01:00", "ente": "borgochiaro",
        "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": CITIZEN, "bando": "B26", "numero_protocollo": "7/2026",
            "url_domanda": "https://casa.example.it/domande/7"
        }
    })
}

async fn until(client: &mut Client, tipo: &str) -> anyhow::Result<()> {
    loop {
        let outcome = client.next_outcome(STEP).await?.with_context(|| format!("no {tipo} came"))?;
        if outcome["type"] == tipo {
            return Ok(());
        }
    }
}

/// The store as a burglar sees it: every key, every value.
struct Store {
    redis: MultiplexedConnection,
}

impl Store {
    async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self { redis: redis::Client::open(url)?.get_multiplexed_async_connection().await? })
    }

    /// Moves the fleet's clock to so many days from now.
    async fn advance(&mut self, days: i64) -> anyhow::Result<()> {
        Ok(self.redis.set("promemoria:clock-offset-ms", days * DAY_MS).await?)
    }

    async fn all_keys(&mut self) -> anyhow::Result<Vec<Vec<u8>>> {
        Ok(redis::cmd("KEYS").arg("*").query_async(&mut self.redis).await?)
    }

    /// How many keys of the ente have this name in them.
    async fn keys(&mut self, name: &str) -> anyhow::Result<usize> {
        let prefix = format!("pm:{{borgochiaro}}:{name}");
        Ok(self.all_keys().await?.iter().filter(|key| key.starts_with(prefix.as_bytes())).count())
    }

    /// A key that has a text in it or in its value.
    async fn holder(&mut self, text: &str) -> anyhow::Result<Option<String>> {
        for key in self.all_keys().await? {
            let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut self.redis).await?;
            let mut command = match kind.as_str() {
                "string" => redis::cmd("GET"),
                "hash" => redis::cmd("HGETALL"),
                "zset" => redis::cmd("ZRANGE"),
                "list" => redis::cmd("LRANGE"),
                "none" => continue,
                other => anyhow::bail!("a key of type {other} that this test does not look into"),
            };
            command.arg(&key);
            if matches!(kind.as_str(), "zset" | "list") {
                command.arg(0).arg(-1);
            }
            let value: redis::Value = command.query_async(&mut self.redis).await?;
            if contains(&key, text) || value_contains(&value, text) {
                return Ok(Some(String::from_utf8_lossy(&key).into_owned()));
            }
        }
        Ok(None)
    }

    async fn until_gone(&mut self, text: &str) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + STEP;
        while let Some(key) = self.holder(text).await? {
            let late = tokio::time::Instant::now() >= deadline;
            anyhow::ensure!(!late, "the citizen's code stays in the store, at {key:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn until_none(&mut self, name: &str) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + STEP;
        while self.keys(name).await? > 0 {
            anyhow::ensure!(tokio::time::Instant::now() < deadline, "{name} stays in the store");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn value_contains(value: &redis::Value, text: &str) -> bool {
    match value {
        redis::Value::BulkString(bytes) => contains(bytes, text),
        redis::Value::Array(values) => values.iter().any(|value| value_contains(value, text)),
        redis::Value::Map(pairs) => {
            pairs.iter().any(|(key, value)| value_contains(key, text) || value_contains(value, text))
        }
        _ => false,
    }
}
