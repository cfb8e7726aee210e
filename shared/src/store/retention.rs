//! Forgetting: which cases and persons there are, and taking out what is no longer needed.

use std::time::Duration;

use super::keys::CaseId;
use super::stored::{encode, next_record};
use super::{CaseStore, StoreError, Unit};
use crate::domain::case::{Case, EventKey, PersonKey, Things};

/// Buckets in which the persons of an ente lie: by the first two bytes of their key.
pub const BUCKETS: u32 = 1 << 16;

/// Buckets to list at once: an ente with few cases is 256 calls, and with a million cases a listing is about
/// 4,000 entries, a script of some milliseconds.
pub const STRIDE: u32 = 256;

/// What lies in some buckets.
#[derive(Debug)]
pub struct Listed {
    /// The store's clock, Unix milliseconds.
    pub now_ms: i64,
    /// Persons and their cases; none for a person of whom only facts are known.
    pub entries: Vec<(PersonKey, Option<CaseId>)>,
}

/// Clock, then person and case of each entry.
type Found = (i64, Vec<(Vec<u8>, Vec<u8>)>);

impl CaseStore {
    /// Whether it is this process's turn to go through an ente's cases: one process in each `every`.
    pub async fn may_sweep(&self, ente: &str, every: Duration) -> Result<bool, StoreError> {
        let key = format!("{}sweep", self.redis().ente(ente));
        let millis = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        let mut command = redis::cmd("SET");
        command.arg(key).arg("1").arg("NX").arg("PX").arg(millis);
        let mut connection = self.redis().connection();
        let taken: Option<String> =
            command.query_async(&mut connection).await.map_err(StoreError::from_redis)?;
        Ok(taken.is_some())
    }

    /// Lists persons and cases of the buckets from `first` on.
    pub async fn list(&self, ente: &str, first: u32, count: u32) -> Result<Listed, StoreError> {
        let mut call = self.redis().scripts.sweep.prepare_invoke();
        call.key(self.redis().ente(ente)).arg(first).arg(count.min(BUCKETS.saturating_sub(first)));
        let (now_ms, entries): Found = self.redis().run(&call).await?;
        let entries = entries.into_iter().filter_map(|(person, case)| {
            let case = if case.is_empty() { None } else { Some(CaseId::try_from(case).ok()?) };
            Some((PersonKey::try_from(person).ok()?, case))
        });
        Ok(Listed { now_ms, entries: entries.collect() })
    }

    /// Puts `case` in the place of a loaded one, or deletes it (`None`), and forgets events of it. Returns
    /// false if it changed meanwhile.
    pub async fn forget(
        &self,
        ente: &str,
        unit: &Unit,
        case: Option<&Case>,
        events: &[EventKey],
    ) -> Result<bool, StoreError> {
        let blob = case.map(|case| next_record(unit, case)).transpose()?.unwrap_or_default();
        let mut call = self.redis().scripts.forget.prepare_invoke();
        call.key(self.redis().ente(ente)).arg("case").arg(&unit.id[..]).arg(&unit.revision).arg(blob);
        call.arg(events.len());
        for event in events {
            call.arg(&event[..]);
        }
        for person in &unit.case.persons {
            call.arg(&person[..]);
        }
        self.redis().run(&call).await
    }

    /// Puts `facts` in the place of a person's, if they still are `loaded`.
    pub async fn shrink_facts(
        &self,
        ente: &str,
        person: &PersonKey,
        loaded: &[u8],
        facts: &Things,
    ) -> Result<bool, StoreError> {
        let mut call = self.redis().scripts.forget.prepare_invoke();
        call.key(self.redis().ente(ente)).arg("person").arg(&person[..]).arg(loaded).arg(encode(facts)?);
        self.redis().run(&call).await
    }
}
