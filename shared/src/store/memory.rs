//! The books in memory: a journal is replayed into them to see what the store should hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::books::{Books, Restored};
use super::cases::{Commit, Committed, Loaded, Unit};
use super::keys::CaseId;
use super::progress::RawProgress;
use super::stored::decode;
use crate::domain::case::{Case, EventKey, PersonKey, Things};
use crate::domain::plan::Action;

/// Books in memory; clones share them. They hold personal data, as Redis does.
#[derive(Clone, Default)]
pub struct MemoryBooks {
    now_ms: i64,
    enti: Arc<Mutex<HashMap<String, Shelf>>>,
}

/// One ente's.
#[derive(Default)]
struct Shelf {
    cases: BTreeMap<CaseId, (Case, u32)>,
    progress: HashMap<(CaseId, u16), RawProgress>,
    seen: HashMap<EventKey, Vec<u8>>,
    facts: HashMap<PersonKey, Vec<u8>>,
    links: HashMap<PersonKey, BTreeSet<CaseId>>,
}

impl MemoryBooks {
    /// Empty, with this instant as the present, Unix milliseconds.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms, enti: Arc::default() }
    }

    /// The keys of an ente's cases.
    #[must_use]
    pub fn cases(&self, ente: &str) -> Vec<CaseId> {
        self.enti().get(ente).map(|shelf| shelf.cases.keys().copied().collect()).unwrap_or_default()
    }

    fn enti(&self) -> MutexGuard<'_, HashMap<String, Shelf>> {
        self.enti.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn unit(&self, id: &CaseId) -> Unit {
        let (case, revision, known) = match self.cases.get(id) {
            Some((case, revision)) => (case.clone(), revision.to_string(), true),
            None => (Case::default(), String::new(), false),
        };
        let of_case = case
            .planned
            .iter()
            .filter_map(|planned| Some((planned.slot, self.progress.get(&(*id, planned.slot))?.clone())));
        let progress = of_case.collect();
        Unit { id: *id, case, known, revision, progress }
    }

    fn is_as_loaded(&self, unit: &Unit) -> bool {
        self.cases.get(&unit.id).map(|(_, revision)| revision.to_string()).unwrap_or_default()
            == unit.revision
    }

    fn write(&mut self, commit: &Commit<'_>, now_ms: i64) {
        for (unit, case, actions) in &commit.units {
            let revision = self.cases.get(&unit.id).map_or(1, |(_, revision)| revision + 1);
            self.cases.insert(unit.id, ((*case).clone(), revision));
            for action in *actions {
                let place = (unit.id, action.slot());
                match action {
                    Action::Cancel { .. } => {
                        self.progress.insert(place, RawProgress(format!("F|annullato|{now_ms}")));
                    }
                    Action::Arm { .. } | Action::Move { .. } => {
                        self.progress.entry(place).and_modify(RawProgress::put_back);
                    }
                    Action::Discard { .. } => {}
                }
            }
        }
        if let Some((event, remember)) = commit.event {
            self.seen.insert(event, remember.to_vec());
        }
        for (person, _, facts, links) in &commit.persons {
            if let Some(facts) = facts {
                self.facts.insert(*person, facts.clone());
            }
            self.links.entry(*person).or_default().extend(links);
        }
    }
}

impl Books for MemoryBooks {
    async fn load(
        &self,
        ente: &str,
        event: Option<&EventKey>,
        cases: &[CaseId],
        persons: &[PersonKey],
    ) -> Result<Loaded, StoreError> {
        let mut all = self.enti();
        let books = all.entry(ente.to_owned()).or_default();
        let facts = |person: &PersonKey| {
            let stored = books.facts.get(person).cloned().unwrap_or_default();
            let things = if stored.is_empty() { Things::new() } else { decode(&stored)? };
            Ok((things, stored))
        };
        Ok(Loaded {
            now_ms: self.now_ms,
            seen: event.and_then(|event| books.seen.get(event).cloned()),
            units: cases.iter().map(|id| books.unit(id)).collect(),
            persons: persons.iter().map(facts).collect::<Result<_, StoreError>>()?,
        })
    }

    async fn commit(&self, ente: &str, commit: &Commit<'_>) -> Result<Committed, StoreError> {
        let mut all = self.enti();
        let books = all.entry(ente.to_owned()).or_default();
        if let Some(seen) = commit.event.and_then(|(event, _)| books.seen.get(&event)) {
            return Ok(Committed::Seen(seen.clone()));
        }
        if !commit.units.iter().all(|(unit, _, _)| books.is_as_loaded(unit)) {
            return Ok(Committed::Conflict);
        }
        books.write(commit, self.now_ms);
        Ok(Committed::Done)
    }

    async fn forget_event(&self, ente: &str, event: &EventKey) -> Result<(), StoreError> {
        self.enti().entry(ente.to_owned()).or_default().seen.remove(event);
        Ok(())
    }

    async fn linked(&self, ente: &str, person: &PersonKey) -> Result<Vec<CaseId>, StoreError> {
        let all = self.enti();
        let links = all.get(ente).and_then(|books| books.links.get(person));
        Ok(links.map(|cases| cases.iter().copied().collect()).unwrap_or_default())
    }

    async fn restore(&self, ente: &str, restored: &Restored) -> Result<bool, StoreError> {
        let mut all = self.enti();
        let progress = &mut all.entry(ente.to_owned()).or_default().progress;
        let place = progress.entry((restored.case, restored.slot)).or_default();
        let stands = *place == restored.seen;
        if stands {
            *place = restored.progress.clone();
        }
        Ok(stands)
    }
}
