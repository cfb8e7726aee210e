//! Where planning reads and writes: Redis, or a map in memory that stands in for it when a journal is
//! replayed only to look.

use std::future::Future;

use super::cases::{Commit, Committed, Loaded};
use super::keys::CaseId;
use super::progress::RawProgress;
use super::{CaseStore, StoreError};
use crate::domain::case::{EventKey, PersonKey};

/// Where a message is put back, by [`Books::restore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Case.
    pub case: CaseId,
    /// Place of the message in its case.
    pub slot: u16,
    /// Its progress as it was loaded.
    pub seen: RawProgress,
    /// Its progress from now on.
    pub progress: RawProgress,
    /// When it is due again, Unix milliseconds; none if it is not.
    pub due_ms: Option<i64>,
    /// Since when it waits for an operator, Unix milliseconds; none if it does not.
    pub doubt_ms: Option<i64>,
    /// When its lease ends, Unix milliseconds; none if it is not in flight.
    pub flight_ms: Option<i64>,
    /// When its status is asked for, Unix milliseconds; none if it is not.
    pub follow_ms: Option<i64>,
    /// The rule whose timer is no longer armed.
    pub disarmed: Option<String>,
}

/// Cases, what is remembered of events, and progress. Each operation is atomic and may be repeated.
pub trait Books: Send + Sync {
    /// Reads cases, persons' facts and what is remembered of an event, at one instant.
    fn load(
        &self,
        ente: &str,
        event: Option<&EventKey>,
        cases: &[CaseId],
        persons: &[PersonKey],
    ) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// Writes what planning decided, all of it or nothing.
    fn commit(
        &self,
        ente: &str,
        commit: &Commit<'_>,
    ) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// Forgets that an event was taken: its case is gone, and it is to be taken again.
    fn forget_event(
        &self,
        ente: &str,
        event: &EventKey,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The cases that concern a person.
    fn linked(
        &self,
        ente: &str,
        person: &PersonKey,
    ) -> impl Future<Output = Result<Vec<CaseId>, StoreError>> + Send;

    /// Puts the progress of a message back, if it stands as it was loaded. Returns whether it did.
    fn restore(
        &self,
        ente: &str,
        restored: &Restored,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Books for CaseStore {
    async fn load(
        &self,
        ente: &str,
        event: Option<&EventKey>,
        cases: &[CaseId],
        persons: &[PersonKey],
    ) -> Result<Loaded, StoreError> {
        Self::load(self, ente, event, cases, persons).await
    }

    async fn commit(&self, ente: &str, commit: &Commit<'_>) -> Result<Committed, StoreError> {
        Self::commit(self, ente, commit).await
    }

    async fn forget_event(&self, ente: &str, event: &EventKey) -> Result<(), StoreError> {
        let mut key = format!("{}i:", self.redis().ente(ente)).into_bytes();
        key.extend(&event[..2]);
        self.redis().ask(redis::cmd("HDEL").arg(key).arg(&event[2..])).await
    }

    async fn linked(&self, ente: &str, person: &PersonKey) -> Result<Vec<CaseId>, StoreError> {
        let mut key = format!("{}n:", self.redis().ente(ente)).into_bytes();
        key.extend(&person[..2]);
        let mut connection = self.redis().connection();
        let fields: Vec<Vec<u8>> = redis::cmd("HKEYS")
            .arg(key)
            .query_async(&mut connection)
            .await
            .map_err(StoreError::from_redis)?;
        let of_person = fields.iter().filter_map(|field| field.strip_prefix(&person[2..]));
        Ok(of_person.filter_map(|id| id.try_into().ok()).collect())
    }

    async fn restore(&self, ente: &str, restored: &Restored) -> Result<bool, StoreError> {
        let at = |instant: Option<i64>| instant.unwrap_or(-1);
        let mut call = self.redis().scripts.restore.prepare_invoke();
        call.key(self.redis().ente(ente)).arg(&restored.case[..]).arg(&restored.slot.to_be_bytes()[..]);
        call.arg(&restored.seen.0).arg(&restored.progress.0);
        call.arg(at(restored.due_ms)).arg(at(restored.flight_ms));
        call.arg(at(restored.doubt_ms)).arg(at(restored.follow_ms));
        call.arg(restored.disarmed.as_deref().unwrap_or_default());
        let written: u8 = self.redis().run(&call).await?;
        Ok(written == 1)
    }
}
