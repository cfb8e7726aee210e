//! What a rebuild writes beside the books: marks, and the lease that keeps it to one process at a time.

use super::{Redis, StoreError};

/// How long the lease holds without being renewed, milliseconds: a rebuild that died is taken over.
const LEASE_MS: u64 = 30_000;

/// The rebuilds of a store.
pub struct Rebuilds {
    redis: Redis,
}

/// The right to rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(String);

impl Rebuilds {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Takes the lease; none if another process has it.
    pub async fn lease(&self) -> Result<Option<Lease>, StoreError> {
        let token = format!("{:032x}", rand::random::<u128>());
        let mut set = ::redis::cmd("SET");
        set.arg(self.lease_key()).arg(&token).arg("NX").arg("PX").arg(LEASE_MS);
        let is_ours: Option<String> = self.ask(&set).await?;
        Ok(is_ours.map(|_| Lease(token)))
    }

    /// Holds it for longer; false if another process has it by now.
    pub async fn renew(&self, lease: &Lease) -> Result<bool, StoreError> {
        let held: Option<String> = self.ask(::redis::cmd("GET").arg(self.lease_key())).await?;
        if held.as_ref() != Some(&lease.0) {
            return Ok(false);
        }
        let mut expire = ::redis::cmd("PEXPIRE");
        expire.arg(self.lease_key()).arg(LEASE_MS);
        self.ask(&expire).await
    }

    /// Gives it back.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let held: Option<String> = self.ask(::redis::cmd("GET").arg(self.lease_key())).await?;
        if held.as_ref() == Some(&lease.0) {
            self.ask::<()>(::redis::cmd("DEL").arg(self.lease_key())).await?;
        }
        Ok(())
    }

    /// The mark of an ente, Unix milliseconds of Redis' clock; negative if it is not to be trusted, none if
    /// it is missing.
    pub async fn mark(&self, ente: &str) -> Result<Option<i64>, StoreError> {
        self.ask(::redis::cmd("GET").arg(self.mark_key(ente))).await
    }

    /// Makes the mark one that no process trusts, and keeps its instant: whoever rebuilds begins there.
    pub async fn distrust(&self, ente: &str) -> Result<(), StoreError> {
        let Some(mark) = self.mark(ente).await?.filter(|mark| *mark > 0) else { return Ok(()) };
        self.ask(::redis::cmd("SET").arg(self.mark_key(ente)).arg(-mark)).await
    }

    /// Sets the mark to the present: the store is whole. Returns it.
    pub async fn whole(&self, ente: &str) -> Result<i64, StoreError> {
        let mark = self.redis.time_ms().await?;
        self.ask::<()>(::redis::cmd("SET").arg(self.mark_key(ente)).arg(mark)).await?;
        Ok(mark)
    }

    fn mark_key(&self, ente: &str) -> String {
        format!("{}mark", self.redis.ente(ente))
    }

    fn lease_key(&self) -> String {
        format!("{}:rebuild", self.redis.prefix())
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, command: &::redis::Cmd) -> Result<T, StoreError> {
        let mut connection = self.redis.connection();
        command.query_async(&mut connection).await.map_err(StoreError::from_redis)
    }
}
