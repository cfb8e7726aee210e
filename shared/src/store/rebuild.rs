//! What a rebuild writes beside the books: marks, and on which run of a server they are true.

use std::sync::Arc;

use super::{Redis, StoreError};

/// The rebuilds of a store.
pub struct Rebuilds {
    redis: Redis,
}

/// The run of a server that a rebuild began on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run(Arc<str>);

/// How an ente's part of the store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its mark, Unix milliseconds of Redis' clock; negative if it is not to be trusted, none if it is missing.
    pub mark_ms: Option<i64>,
    /// It was found whole on this run of the server.
    pub is_vouched: bool,
}

impl Rebuilds {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// The run of the server that the connection leads to now.
    pub async fn run(&self) -> Result<Run, StoreError> {
        Ok(Run(self.redis.pinned().await?.run()))
    }

    /// How an ente's part of the store stands.
    pub async fn standing(&self, ente: &str) -> Result<Standing, StoreError> {
        let mut connection = self.redis.pinned().await?;
        let mut call = self.redis.scripts.standing.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(&*connection.run());
        let answer = call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)?;
        let (mark, is_vouched): (String, u8) = answer;
        Ok(Standing { mark_ms: mark.parse().ok(), is_vouched: is_vouched == 1 })
    }

    /// Makes the mark one that no process trusts, and keeps its instant: whoever rebuilds begins there.
    pub async fn distrust(&self, ente: &str) -> Result<(), StoreError> {
        let Some(mark) = self.standing(ente).await?.mark_ms.filter(|mark| *mark > 0) else { return Ok(()) };
        let key = format!("{}mark", self.redis.ente(ente));
        self.redis.ask(::redis::cmd("SET").arg(key).arg(-mark)).await
    }

    /// Sets the mark to the present: the store is whole. Returns it. `since` is the run on which the rebuild began:
    /// [`StoreError::Lost`] if the connection leads to another by now, which need not have all that was put back.
    pub async fn whole(&self, ente: &str, since: &Run) -> Result<i64, StoreError> {
        let mut connection = self.redis.pinned().await?;
        if connection.run() != since.0 {
            return Err(StoreError::Lost);
        }
        let mut call = self.redis.scripts.vouch.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(&*since.0);
        call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)
    }
}
