//! Retention: goes through the cases of each ente now and then, and forgets what is past its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::domain::case::PersonKey;
use shared::domain::catalogue::{Catalogue, TipoEvento};
use shared::domain::retention::{Fate, Periods, fate, shrunk_facts};
use shared::store::keys::CaseId;
use shared::store::retention::{BUCKETS, STRIDE};
use shared::store::{CaseStore, StoreError, Unit};
use tracing::{info, warn};

use crate::inforce::InForce;
use crate::metrics::Metrics;

/// Rest after a listing that found something, so that a pass over a million cases takes minutes and disturbs nobody.
const REST: Duration = Duration::from_millis(5);

/// Goes through the cases.
pub(crate) struct Sweep {
    pub(crate) store: CaseStore,
    pub(crate) in_force: InForce,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) periods: Periods,
    /// Between two passes over an ente.
    pub(crate) every: Duration,
}

/// One pass over an ente.
struct Pass<'a> {
    ente: &'a str,
    catalogue: &'a Catalogue,
    /// Event types of every service: facts of a person count in all of them.
    eventi: BTreeMap<String, TipoEvento>,
    shrunk: u64,
    deleted: u64,
}

impl Sweep {
    /// Sweeps for ever; each ente by one replica at a time.
    pub(crate) async fn run(self) {
        loop {
            let snapshot = self.in_force.current();
            for ente in snapshot.enti.enti() {
                match self.ente(&snapshot.catalogue, &ente.id).await {
                    Ok(()) => {}
                    Err(failure) => {
                        warn!(ente = %ente.id, code = failure.code(), "retention not applied, tried again at the next pass");
                    }
                }
            }
            tokio::time::sleep(self.every.min(Duration::from_mins(1))).await;
        }
    }

    /// One pass, unless another replica's turn is not over.
    async fn ente(&self, catalogue: &Catalogue, ente: &str) -> Result<(), StoreError> {
        if !self.store.may_sweep(ente, self.every).await? {
            return Ok(());
        }
        let eventi = catalogue.servizi.values().flat_map(|servizio| servizio.eventi.clone()).collect();
        let mut pass = Pass { ente, catalogue, eventi, shrunk: 0, deleted: 0 };
        for first in (0..BUCKETS).step_by(STRIDE as usize) {
            let listed = self.store.list(ente, first, STRIDE).await?;
            let mut persons: BTreeMap<PersonKey, Vec<CaseId>> = BTreeMap::new();
            for (person, case) in listed.entries {
                persons.entry(person).or_default().extend(case);
            }
            let found = !persons.is_empty();
            for (person, cases) in persons {
                self.person(&mut pass, listed.now_ms, person, &cases).await?;
            }
            if found {
                tokio::time::sleep(REST).await;
            }
        }
        if pass.shrunk + pass.deleted > 0 {
            info!(ente, shrunk = pass.shrunk, deleted = pass.deleted, "retention applied");
        }
        Ok(())
    }

    async fn person(
        &self,
        pass: &mut Pass<'_>,
        now_ms: i64,
        person: PersonKey,
        cases: &[CaseId],
    ) -> Result<(), StoreError> {
        let loaded = self.store.load(pass.ente, None, cases, &[person]).await?;
        // First the facts: the last case of a person takes them along.
        for (facts, stored) in loaded.persons.iter().filter(|(facts, _)| !facts.is_empty()) {
            if let Some(facts) = shrunk_facts(facts, &pass.eventi, (now_ms, &self.periods))
                && self.store.shrink_facts(pass.ente, &person, stored, &facts).await?
            {
                self.count(pass, "shrunk");
            }
        }
        for unit in loaded.units.iter().filter(|unit| unit.known) {
            self.case(pass, now_ms, unit).await?;
        }
        Ok(())
    }

    async fn case(&self, pass: &mut Pass<'_>, now_ms: i64, unit: &Unit) -> Result<(), StoreError> {
        let none = BTreeMap::new();
        let service = pass.catalogue.servizio(&unit.case.servizio);
        let known = service.map_or(&none, |service| &service.eventi);
        let ended = |slot| unit.raw_progress(slot).ended_ms();
        let (case, events, what) = match fate(&unit.case, known, &ended, (now_ms, &self.periods)) {
            Fate::Keep => return Ok(()),
            Fate::Shrink(case, events) => (Some(case), events, "shrunk"),
            Fate::Delete(events) => (None, events, "deleted"),
        };
        if self.store.forget(pass.ente, unit, case.as_deref(), &events).await? {
            self.count(pass, what);
        }
        Ok(())
    }

    fn count(&self, pass: &mut Pass<'_>, what: &str) {
        *(if what == "deleted" { &mut pass.deleted } else { &mut pass.shrunk }) += 1;
        self.metrics.own.retention.with_label_values(&[pass.ente, what]).inc();
    }
}
