//! Replaying the journal: events are planned again as of the instants at which they were taken, and what
//! became of their messages is put back. What the books know already changes nothing, so a replay may be
//! interrupted and repeated, and may run beside a fleet that works.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tracing::{error, warn};

use super::line::{Became, Entry, Line, Told};
use super::recall::{Choices, Standing, became, intended, released};
use super::record::Intent;
use crate::arrival::Arrival;
use crate::domain::catalogue::Catalogue;
use crate::domain::ente::Ente;
use crate::domain::event::CaseEvent;
use crate::domain::plan::{case_id, message_key};
use crate::settings::{Registry, Settings};
use crate::store::keys::{CaseId, parse_case};
use crate::store::{Books, Restored, StoreError, Unit};
use crate::take::{TakeError, Taken, Taker};
use crate::wire::{Level, RecipientHash};

/// How often progress that changed meanwhile is looked at again.
const MEETINGS: u32 = 20;

/// Why a replay stopped. It can be begun again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event could not be taken.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// A part of the replay panicked.
    #[error("a part of the replay ended before its time")]
    Panicked,
}

/// What a replay did with an ente's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Lines read.
    pub lines: u64,
    /// Events that were missing and are taken now.
    pub events: u64,
    /// Messages whose progress was put back.
    pub messages: u64,
    /// Events that the catalogue or the ente's settings of today refuse, and lines on which this build panics: their
    /// cases are incomplete.
    pub refused: u64,
    /// Lines of messages that today's settings do not plan.
    pub unplanned: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.events += other.events;
        self.messages += other.messages;
        self.refused += other.refused;
        self.unplanned += other.unplanned;
    }
}

/// A replay into books; a clone has read nothing yet.
#[derive(Clone)]
pub struct Replay<B> {
    taker: Taker<B>,
    catalogue: Arc<Catalogue>,
    enti: Arc<Registry>,
    /// Only these enti; none for all.
    only: Option<Arc<HashSet<String>>>,
    choices: Choices,
    /// Of messages that are not planned yet, by ente, service and case: an outcome may be read before its
    /// event.
    early: HashMap<(String, String, String), Vec<Told>>,
    counts: BTreeMap<String, Counts>,
}

impl<B: Books> Replay<B> {
    /// Into `books`, with the settings of today; `now_ms` is the store's present instant, Unix milliseconds.
    #[must_use]
    pub fn new(
        books: B,
        (catalogue, enti): (Arc<Catalogue>, Arc<Registry>),
        (settings, hash): (&Settings, RecipientHash),
        now_ms: i64,
    ) -> Self {
        let resend_after = settings.io.resend_after.as_millis();
        let choices = Choices {
            now_ms,
            resend_after_ms: i64::try_from(resend_after).unwrap_or(i64::MAX),
            track_status: settings.io.track_status,
        };
        Self {
            taker: Taker { store: books, hash },
            catalogue,
            enti,
            only: None,
            choices,
            early: HashMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Of these enti only.
    #[must_use]
    pub fn only(mut self, enti: impl IntoIterator<Item = String>) -> Self {
        self.only = Some(Arc::new(enti.into_iter().collect()));
        self
    }

    /// The catalogue, and the keyed hash of recipients.
    pub(super) fn planned_with(&self) -> (&Arc<Catalogue>, &RecipientHash) {
        (&self.catalogue, &self.taker.hash)
    }

    /// Takes one line. Lines come in the order of their instants, or nearly so. One on which this build panics is left
    /// out and counted as refused: it would end every rebuild that comes to it.
    pub async fn line(&mut self, line: &Line) -> Result<(), ReplayError> {
        let taken = AssertUnwindSafe(self.take(line)).catch_unwind().await;
        taken.unwrap_or_else(|_| {
            self.left_out(line.record.ente());
            Ok(())
        })
    }

    fn left_out(&mut self, ente: &str) {
        error!(ente, "this build panics on a line of the journal, which is left out: its case is incomplete");
        self.count(ente).refused += 1;
    }

    async fn take(&mut self, line: &Line) -> Result<(), ReplayError> {
        let id = line.record.ente();
        if self.only.as_ref().is_some_and(|only| !only.contains(id)) {
            return Ok(());
        }
        let known = Arc::clone(&self.enti);
        let Some(ente) = known.ente(id) else { return Ok(()) };
        self.count(&ente.id).lines += 1;
        match &line.entry {
            Entry::Taken => self.event(ente, line).await,
            Entry::Intent(intent) => self.intent(ente, intent).await,
            Entry::Told(Told { what: Became::Planned { .. }, .. }) | Entry::Nothing => Ok(()),
            Entry::Told(told) => {
                if !self.told(ente, told).await? {
                    let key = (ente.id.clone(), told.servizio.clone(), told.pratica.clone());
                    self.early.entry(key).or_default().push(told.clone());
                }
                Ok(())
            }
        }
    }

    /// Ends it: what is left of messages that are not planned is counted.
    pub async fn finish(mut self) -> Result<BTreeMap<String, Counts>, ReplayError> {
        let known = Arc::clone(&self.enti);
        for ((id, _, _), early) in std::mem::take(&mut self.early) {
            let Some(ente) = known.ente(&id) else { continue };
            for told in early {
                match AssertUnwindSafe(self.told(ente, &told)).catch_unwind().await {
                    Ok(is_planned) => self.count(&id).unplanned += u64::from(!is_planned?),
                    Err(_) => self.left_out(&id),
                }
            }
        }
        Ok(self.counts)
    }

    fn count(&mut self, ente: &str) -> &mut Counts {
        if !self.counts.contains_key(ente) {
            self.counts.insert(ente.to_owned(), Counts::default());
        }
        self.counts.entry(ente.to_owned()).or_default()
    }

    async fn event(&mut self, ente: &Ente, line: &Line) -> Result<(), ReplayError> {
        let known = |id: &str| (id == ente.id).then_some(ente);
        let body = line.record.body.as_bytes();
        let mut event = match CaseEvent::parse(body, None, &line.record.key, &self.catalogue, known) {
            Ok(event) => event,
            Err(refusal) => {
                warn!(ente = %ente.id, code = refusal.code.as_str(), "an event of the journal is refused today");
                self.count(&ente.id).refused += 1;
                return Ok(());
            }
        };
        event.traceparent = event.traceparent.or(line.record.traceparent);
        if let Taken::New(..) = self.taker.take(&event, &self.catalogue, ente, Some(line.at_ms)).await? {
            self.count(&ente.id).events += 1;
            self.spread(ente, &event, line.at_ms).await?;
        }
        let key = (ente.id.clone(), event.servizio.clone(), event.pratica.clone());
        for told in self.early.remove(&key).unwrap_or_default() {
            if !self.told(ente, &told).await? {
                self.early.entry(key.clone()).or_default().push(told);
            }
        }
        Ok(())
    }

    /// An event that counts in every case of a person: those are looked at as of the same instant.
    async fn spread(&self, ente: &Ente, event: &CaseEvent, at_ms: i64) -> Result<(), ReplayError> {
        let Some(arrival) = Arrival::new(event, &self.catalogue, ente, &self.taker.hash) else {
            return Ok(());
        };
        if !arrival.is_about_persons() {
            return Ok(());
        }
        let touches = arrival.touches();
        for person in arrival.persons(&touches) {
            for case in self.taker.store.linked(&ente.id, &person).await? {
                if !touches.iter().any(|touch| touch.id == case) {
                    self.look_again(ente, case, at_ms).await?;
                }
            }
        }
        Ok(())
    }

    async fn look_again(&self, ente: &Ente, case: CaseId, at_ms: i64) -> Result<(), ReplayError> {
        for _ in 0..MEETINGS {
            let Some(unit) = self.units(ente, &[case]).await?.pop() else { return Ok(()) };
            let what = (case, &unit.case.persons[..]);
            if self.taker.look_again(&self.catalogue, ente, what, Some(at_ms)).await?.is_some() {
                return Ok(());
            }
        }
        Err(TakeError::Contended.into())
    }

    async fn intent(&mut self, ente: &Ente, intent: &Intent) -> Result<(), ReplayError> {
        let Some(case) = parse_case(&intent.caso) else { return Ok(()) };
        let choices = self.choices;
        let change = |standing: Standing<'_>| {
            if intent.released { released(standing, intent, choices) } else { intended(standing, intent) }
        };
        self.put_back(ente, &[case], &intent.chiave, change).await.map(drop)
    }

    /// Puts back what became of a message; false if it is not planned.
    async fn told(&mut self, ente: &Ente, told: &Told) -> Result<bool, ReplayError> {
        let own = case_id(&told.servizio, &told.pratica, None);
        let share = told.destinatario.as_deref();
        let share = share.map(|hash| case_id(&told.servizio, &told.pratica, Some(hash)));
        let cases: Vec<CaseId> = std::iter::once(own).chain(share).collect();
        let choices = self.choices;
        let found = self.put_back(ente, &cases, &told.chiave, |it| became(it, told, choices)).await?;
        let Some((case, is_changed)) = found else { return Ok(false) };
        // A message that went STANDARD may arm the reminder that ADVANCED would have made superfluous.
        let level = match told.what {
            Became::Sent { level, .. } | Became::Assumed { level } => Some(level),
            _ => None,
        };
        if is_changed && level == Some(Level::Standard) {
            self.look_again(ente, case, told.at_ms).await?;
        }
        Ok(true)
    }

    /// Changes the progress of the message with this key among these cases. Answers its case and whether
    /// anything changed; none if there is no such message.
    async fn put_back(
        &mut self,
        ente: &Ente,
        cases: &[CaseId],
        chiave: &str,
        change: impl Fn(Standing<'_>) -> Option<Restored>,
    ) -> Result<Option<(CaseId, bool)>, ReplayError> {
        for _ in 0..MEETINGS {
            let units = self.units(ente, cases).await?;
            let found = units.iter().find_map(|unit| {
                let mut planned = unit.case.planned.iter();
                let is_it = |p: &&_| message_key(&ente.id, &unit.case, &unit.id, p) == chiave;
                Some((unit, planned.find(is_it)?))
            });
            let Some((unit, planned)) = found else { return Ok(None) };
            let seen = unit.raw_progress(planned.slot);
            let Some(restored) = change(Standing { case: unit.id, planned, seen: &seen }) else {
                return Ok(Some((unit.id, false)));
            };
            if self.taker.store.restore(&ente.id, &restored).await? {
                self.count(&ente.id).messages += 1;
                return Ok(Some((unit.id, true)));
            }
        }
        Err(TakeError::Contended.into())
    }

    /// Those of the cases that are there.
    async fn units(&self, ente: &Ente, cases: &[CaseId]) -> Result<Vec<Unit>, ReplayError> {
        let loaded = self.taker.store.load(&ente.id, None, cases, &[]).await?;
        Ok(loaded.units.into_iter().filter(|unit| unit.known).collect())
    }
}
