//! The schedule held against the cases: what the ledger says of a message, and whether anybody would send it.

use std::collections::BTreeSet;

use super::compare::{Difference, Kind};
use crate::domain::hex;
use crate::domain::plan::message_key;
use crate::store::keys::{CaseId, Member};
use crate::store::schedule::{Schedule, Waiting};
use crate::store::{CaseStore, Redis, StoreError, Unit};

use super::entering::waiting;

/// Cases looked at by one script.
const TOGETHER: usize = 100;

/// What a mending of the schedule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mended {
    /// Messages that waited and were in no set.
    pub put_back: u64,
    /// Entries without a case.
    pub taken_out: u64,
}

/// Names the messages of these cases that wait and are in no set, and the entries of the schedule without a
/// case.
pub async fn gaps(redis: &Redis, ente: &str, cases: &[CaseId]) -> Result<Vec<Difference>, StoreError> {
    let mut found = Vec::new();
    for some in cases.chunks(TOGETHER) {
        for (unit, member) in unplaced(redis, ente, some).await? {
            let planned = unit.case.planned.iter().find(|planned| planned.slot == member.slot);
            found.extend(planned.map(|planned| Difference {
                kind: Kind::Unplaced,
                chiave: message_key(ente, &unit.case, &unit.id, planned),
                messaggio: planned.rule.clone(),
                journal: Some("pending"),
                ledger: Some("pending, but not in the schedule"),
            }));
        }
    }
    let orphans = Schedule::new(redis.clone()).orphans(ente, false).await?;
    found.extend(orphans.iter().map(|member| Difference {
        kind: Kind::Orphan,
        chiave: format!("{}/{}", hex(&member.case), member.slot),
        messaggio: "-".to_owned(),
        journal: None,
        ledger: Some("in the schedule, but without a case"),
    }));
    Ok(found)
}

/// Puts them back, and takes those out.
pub async fn mend(redis: &Redis, ente: &str, cases: &[CaseId]) -> Result<Mended, StoreError> {
    let schedule = Schedule::new(redis.clone());
    let mut mended = Mended::default();
    for some in cases.chunks(TOGETHER) {
        let lost = unplaced(redis, ente, some).await?;
        let lost: Vec<Waiting> = lost.iter().filter_map(|(unit, member)| as_loaded(unit, *member)).collect();
        if !lost.is_empty() {
            mended.put_back += schedule.put_back(ente, &lost).await?;
        }
    }
    let orphans = schedule.orphans(ente, true).await?;
    mended.taken_out = u64::try_from(orphans.len()).unwrap_or(u64::MAX);
    Ok(mended)
}

fn as_loaded(unit: &Unit, member: Member) -> Option<Waiting> {
    let planned = unit.case.planned.iter().find(|planned| planned.slot == member.slot)?;
    let (due_ms, useful_until_ms) = (planned.due_ms, planned.useful_until_ms);
    Some(Waiting { member, seen: unit.raw_progress(member.slot), due_ms, useful_until_ms })
}

/// The messages that wait and are in no set. In a fleet that works a message may end between two looks: what
/// is missing is looked at twice.
async fn unplaced(redis: &Redis, ente: &str, cases: &[CaseId]) -> Result<Vec<(Unit, Member)>, StoreError> {
    let (store, schedule) = (CaseStore::new(redis.clone()), Schedule::new(redis.clone()));
    let mut suspected: BTreeSet<CaseId> = cases.iter().copied().collect();
    let mut found = Vec::new();
    for _ in 0..2 {
        let ids: Vec<CaseId> = suspected.iter().copied().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let units = store.load(ente, None, &ids, &[]).await?.units;
        let members: Vec<Member> = units.iter().flat_map(waiting).collect();
        let lost = schedule.unplaced(ente, &members).await?;
        suspected = lost.iter().map(|member| member.case).collect();
        let of = |member: &Member| units.iter().find(|unit| unit.id == member.case).cloned();
        found = lost.iter().filter_map(|member| Some((of(member)?, *member))).collect();
    }
    Ok(found)
}
