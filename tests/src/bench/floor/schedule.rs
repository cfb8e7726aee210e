//! The floor's Redis: one script for each round trip that the fleet makes.

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Script, ScriptInvocation};
use std::sync::Arc;
use std::time::Duration;

/// Start of every key.
const PREFIX: &str = "floor:{bench}:";
/// The sorted set of what is due.
pub(in crate::bench) const DUE_KEY: &str = "floor:{bench}:due";
/// Entries of one claim: 1000 make single calls long, 100 cost a third of the rate.
const CLAIM: usize = 500;
/// How long a claim and a sending hold, milliseconds.
const LEASE_MS: u32 = 30_000;
/// Redis answers in milliseconds; the client's own 500 ms fail a run when the machine is busy.
const PATIENCE: Duration = Duration::from_secs(10);

struct Scripts {
    load: Script,
    commit: Script,
    claim: Script,
    fence: Script,
    settle: Script,
}

/// The schedule and the records behind it; clones share a connection.
#[derive(Clone)]
pub(in crate::bench) struct Schedule {
    connection: MultiplexedConnection,
    scripts: Arc<Scripts>,
}

impl Schedule {
    /// Connects.
    pub(in crate::bench) async fn connect(url: &str) -> anyhow::Result<Self> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(url)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let scripts = Scripts {
            load: Script::new(include_str!("scripts/load.lua")),
            commit: Script::new(include_str!("scripts/commit.lua")),
            claim: Script::new(include_str!("scripts/claim.lua")),
            fence: Script::new(include_str!("scripts/fence.lua")),
            settle: Script::new(include_str!("scripts/settle.lua")),
        };
        Ok(Self { connection: connection.context("cannot connect to Redis")?, scripts: Arc::new(scripts) })
    }

    /// Reads what is known of an event and its case.
    pub(super) async fn load(&self, event: &str, case: &str) -> anyhow::Result<()> {
        self.call::<redis::Value>(self.scripts.load.prepare_invoke().arg(event).arg(case)).await.map(drop)
    }

    /// Writes a record, its entry in the schedule (`due_ms`, or now) and the event's id.
    pub(in crate::bench) async fn commit(
        &self,
        event: &str,
        case: &str,
        record: &[u8],
        due_ms: Option<i64>,
    ) -> anyhow::Result<()> {
        let mut call = self.scripts.commit.prepare_invoke();
        call.arg(event).arg(case).arg(record).arg(due_ms.map_or_else(String::new, |ms| ms.to_string()));
        self.call(&mut call).await
    }

    /// Moves what is due to the in-flight set and returns the records.
    pub(super) async fn claim(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        self.call(self.scripts.claim.prepare_invoke().arg(CLAIM).arg(LEASE_MS)).await
    }

    /// Marks a case as being sent.
    pub(super) async fn fence(&self, case: &str) -> anyhow::Result<()> {
        self.call(self.scripts.fence.prepare_invoke().arg(case).arg(LEASE_MS)).await
    }

    /// Marks a case as sent.
    pub(super) async fn settle(&self, case: &str, io_id: &str) -> anyhow::Result<()> {
        self.call(self.scripts.settle.prepare_invoke().arg(case).arg(io_id)).await
    }

    async fn call<T: FromRedisValue>(&self, call: &mut ScriptInvocation<'_>) -> anyhow::Result<T> {
        let mut connection = self.connection.clone();
        Ok(call.key(PREFIX).invoke_async(&mut connection).await?)
    }
}
