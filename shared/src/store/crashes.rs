//! How often a process ended with something in hand.

use super::{Redis, StoreError};
use crate::suspects::{CrashCount, Suspect};

/// Longer than anybody needs to mend what ends a process; then it is tried anew. Milliseconds.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;

/// The counts, in Redis: they outlive the processes.
#[derive(Clone)]
pub struct Crashes {
    redis: Redis,
}

impl Crashes {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    fn key(&self, suspect: &Suspect) -> String {
        format!("{}:x:{suspect}", self.redis.prefix())
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, command: &::redis::Cmd) -> Result<T, StoreError> {
        let mut connection = self.redis.connection();
        command.query_async(&mut connection).await.map_err(StoreError::from_redis)
    }
}

impl CrashCount for Crashes {
    async fn of(&self, suspect: &Suspect) -> Result<u32, StoreError> {
        let count: Option<u32> = self.ask(::redis::cmd("GET").arg(self.key(suspect))).await?;
        Ok(count.unwrap_or(0))
    }

    async fn note(&self, suspect: &Suspect, count: u32) -> Result<(), StoreError> {
        let mut set = ::redis::cmd("SET");
        set.arg(self.key(suspect)).arg(count).arg("PX").arg(REMEMBERED_MS);
        self.ask(&set).await
    }

    async fn forget(&self, suspect: &Suspect) -> Result<(), StoreError> {
        // Gone at once. Not `DEL`, which not every role may do, and a note that stayed would blame the next end on it.
        let mut strike = ::redis::cmd("SET");
        strike.arg(self.key(suspect)).arg(0).arg("PX").arg(1);
        self.ask(&strike).await
    }
}
