//! What a rebuild writes beside the books: marks.

use super::{Redis, StoreError};

/// The rebuilds of a store.
pub struct Rebuilds {
    redis: Redis,
}

impl Rebuilds {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// The mark of an ente, Unix milliseconds of Redis' clock; negative if it is not to be trusted, none if
    /// it is missing.
    pub async fn mark(&self, ente: &str) -> Result<Option<i64>, StoreError> {
        self.redis.ask(::redis::cmd("GET").arg(self.mark_key(ente))).await
    }

    /// Makes the mark one that no process trusts, and keeps its instant: whoever rebuilds begins there.
    pub async fn distrust(&self, ente: &str) -> Result<(), StoreError> {
        let Some(mark) = self.mark(ente).await?.filter(|mark| *mark > 0) else { return Ok(()) };
        self.redis.ask(::redis::cmd("SET").arg(self.mark_key(ente)).arg(-mark)).await
    }

    /// Sets the mark to the present: the store is whole. Returns it.
    pub async fn whole(&self, ente: &str) -> Result<i64, StoreError> {
        let mark = self.redis.time_ms().await?;
        self.redis.ask::<()>(::redis::cmd("SET").arg(self.mark_key(ente)).arg(mark)).await?;
        Ok(mark)
    }

    fn mark_key(&self, ente: &str) -> String {
        format!("{}mark", self.redis.ente(ente))
    }
}
