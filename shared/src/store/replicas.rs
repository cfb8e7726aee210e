//! Which processes are alive: each says so of itself in one hash of the store, for `promemoria doctor`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Redis, StoreError};

/// A process as it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// `scheduler`, `renderer` or `dispatcher`.
    pub service: String,
    /// Tells it from the others: its host's name and a number.
    pub name: String,
    /// Version of the build.
    pub version: String,
    /// Commit of the build, or `unknown`.
    pub commit: String,
    /// Digest of its catalogue.
    pub catalogue: String,
    /// By format: the oldest version that it reads, the one that it writes, the newest that it reads.
    pub formats: BTreeMap<String, [u8; 3]>,
    /// When it said so last, Unix milliseconds of Redis' clock; 0 once it has ended in order.
    #[serde(default)]
    pub at_ms: i64,
}

impl Redis {
    /// Notes that a process is alive; or that it has ended, with `is_over`.
    pub async fn tell(&self, replica: &Replica, is_over: bool) -> Result<(), StoreError> {
        let at_ms = if is_over { 0 } else { self.time_ms().await? };
        let told = serde_json::to_string(&Replica { at_ms, ..replica.clone() });
        let told = told.map_err(|_| StoreError::Unreadable("replica"))?;
        let field = format!("{}/{}", replica.service, replica.name);
        let mut command = ::redis::cmd("HSET");
        command.arg(self.replicas_key()).arg(field).arg(told);
        command.query_async(&mut self.connection()).await.map_err(StoreError::from_redis)
    }

    /// What every process said last, and the store's present instant, Unix milliseconds. What this build cannot
    /// read is left out.
    pub async fn replicas(&self) -> Result<(Vec<Replica>, i64), StoreError> {
        let told = self.told().await?;
        let replicas = told.values().filter_map(|told| serde_json::from_str(told).ok()).collect();
        Ok((replicas, self.time_ms().await?))
    }

    /// Forgets processes that ended, or were last heard of so many milliseconds ago.
    pub async fn forget_replicas(&self, silent_ms: i64) -> Result<(), StoreError> {
        let now_ms = self.time_ms().await?;
        for (field, told) in self.told().await? {
            let replica: Option<Replica> = serde_json::from_str(&told).ok();
            if replica.is_none_or(|replica| now_ms - replica.at_ms > silent_ms) {
                let mut command = ::redis::cmd("HDEL");
                command.arg(self.replicas_key()).arg(field);
                let gone: Result<(), _> = command.query_async(&mut self.connection()).await;
                gone.map_err(StoreError::from_redis)?;
            }
        }
        Ok(())
    }

    async fn told(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut command = ::redis::cmd("HGETALL");
        command.arg(self.replicas_key());
        command.query_async(&mut self.connection()).await.map_err(StoreError::from_redis)
    }

    fn replicas_key(&self) -> String {
        format!("{}:replicas", self.prefix())
    }
}
