//! A lease keeps work of the whole store to one process at a time.

use super::{Redis, StoreError};

/// How long a lease holds without being renewed, milliseconds: a process that died is taken over.
const LEASE_MS: u64 = 30_000;

/// The leases of one kind of work.
pub struct Leases {
    redis: Redis,
    work: &'static str,
}

/// The right to do the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(String);

impl Leases {
    /// Of whoever rebuilds the store.
    #[must_use]
    pub fn of_rebuild(redis: Redis) -> Self {
        Self { redis, work: "rebuild" }
    }

    /// Of whoever holds the journal against the ledger.
    #[must_use]
    pub fn of_conservation(redis: Redis) -> Self {
        Self { redis, work: "conservation" }
    }

    /// Takes the lease; none if another process has it.
    pub async fn take(&self) -> Result<Option<Lease>, StoreError> {
        let token = format!("{:032x}", rand::random::<u128>());
        let mut set = ::redis::cmd("SET");
        set.arg(self.key()).arg(&token).arg("NX").arg("PX").arg(LEASE_MS);
        let is_ours: Option<String> = self.redis.ask(&set).await?;
        Ok(is_ours.map(|_| Lease(token)))
    }

    /// Holds it for longer; false if another process has it by now.
    pub async fn renew(&self, lease: &Lease) -> Result<bool, StoreError> {
        let held: Option<String> = self.redis.ask(::redis::cmd("GET").arg(self.key())).await?;
        if held.as_ref() != Some(&lease.0) {
            return Ok(false);
        }
        let mut expire = ::redis::cmd("PEXPIRE");
        expire.arg(self.key()).arg(LEASE_MS);
        self.redis.ask(&expire).await
    }

    /// Gives it back.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let held: Option<String> = self.redis.ask(::redis::cmd("GET").arg(self.key())).await?;
        if held.as_ref() == Some(&lease.0) {
            self.redis.ask::<()>(::redis::cmd("DEL").arg(self.key())).await?;
        }
        Ok(())
    }

    fn key(&self) -> String {
        format!("{}:{}", self.redis.prefix(), self.work)
    }
}
