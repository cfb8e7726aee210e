//! Taking a checked event: load its cases, plan, commit all of it or nothing. The scheduler does it as
//! events come, a replay of the journal does it again as of the instant at which they came.

use crate::arrival::{Arrival, Before, Change, Touch, context, look_again};
use crate::domain::case::{EventKey, PersonKey};
use crate::domain::catalogue::Catalogue;
use crate::domain::ente::Ente;
use crate::domain::event::CaseEvent;
use crate::domain::plan::LOOKED_AT_AGAIN;
use crate::store::cases::encode;
use crate::store::keys::{CaseId, event_key};
use crate::store::{Books, Commit, Committed, Loaded, StoreError};
use crate::wire::telling::{outcomes, told_again};
use crate::wire::{Outcome, RecipientHash};

/// How often a commit may meet another one before the event waits. Every meeting means that somebody else
/// got through, so this many in a row are a fault.
const MEETINGS: u32 = 50;

/// What became of an event. The instant is the one it was planned at, Unix milliseconds.
#[derive(Debug)]
pub enum Taken {
    /// It was new; what it led to.
    New(Vec<Outcome>, i64),
    /// It was known. The outcomes it led to, as far as they still stand.
    Known(Vec<Outcome>, i64),
    /// Its id was used for another content.
    Conflict,
}

/// Why an event could not be taken now.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other commits came first too often.
    #[error("the case changes too fast: other commits came first {MEETINGS} times")]
    Contended,
}

/// Takes events into the store.
#[derive(Clone)]
pub struct Taker<B> {
    /// The store.
    pub store: B,
    /// The keyed hash of recipients.
    pub hash: RecipientHash,
}

impl<B: Books> Taker<B> {
    /// Takes one event, planned as of `at_ms` (Unix milliseconds), or of the store's present instant. The
    /// same event again has no effect; but a replay, which says `at_ms`, takes one again whose case is gone.
    pub async fn take(
        &self,
        event: &CaseEvent,
        catalogue: &Catalogue,
        ente: &Ente,
        at_ms: Option<i64>,
    ) -> Result<Taken, TakeError> {
        let Some(arrival) = Arrival::new(event, catalogue, ente, &self.hash) else {
            return Ok(Taken::New(Vec::new(), 0)); // the check refuses unknown types before
        };
        let key = event_key(&event.source, &event.id);
        let remember = &event.body_hash[..8];
        let touches = arrival.touches();
        let persons = arrival.persons(&touches);
        let ids: Vec<CaseId> = touches.iter().map(|touch| touch.id).collect();
        let mut may_be_ours = false;
        for _ in 0..MEETINGS {
            let loaded = self.store.load(&ente.id, Some(&key), &ids, &persons).await?;
            if let Some(known) = &loaded.seen {
                if at_ms.is_some() && known == remember && is_torn(&touches, &loaded, &key) {
                    self.store.forget_event(&ente.id, &key).await?;
                    continue;
                }
                return Ok(match self.known(&arrival, &loaded) {
                    _ if known != remember => Taken::Conflict,
                    Taken::Known(outcomes, at_ms) if may_be_ours => Taken::New(outcomes, at_ms),
                    taken => taken,
                });
            }
            let now_ms = at_ms.unwrap_or(loaded.now_ms);
            let change = plan(&arrival, &touches, &persons, (&loaded, now_ms));
            let commit = commit_of(&change, &loaded, (key, remember), &persons)?;
            match self.store.commit(&ente.id, &commit).await? {
                Committed::Done => return Ok(Taken::New(change.outcomes, now_ms)),
                Committed::Seen(known) if known != remember => return Ok(Taken::Conflict),
                // A cluster's client repeats a script whose answer was lost: whoever took it need not be another, and
                // what is told twice has the same id.
                Committed::Seen(_) => may_be_ours = true,
                Committed::Conflict => {}
            }
        }
        Err(TakeError::Contended)
    }

    fn known(&self, arrival: &Arrival<'_>, loaded: &Loaded) -> Taken {
        let ctx = context(arrival.catalogue, arrival.ente, &arrival.event.servizio, loaded.now_ms);
        let told = ctx.map(|ctx| {
            let units = loaded.units.iter();
            units
                .flat_map(|unit| told_again(&ctx, &unit.case, &unit.id, &arrival.event.id, &self.hash))
                .collect()
        });
        Taken::Known(told.unwrap_or_default(), taken_ms(loaded, &arrival.event.id))
    }

    /// Looks at a case again: facts of its persons came, a notice went otherwise than planned. Returns the
    /// outcomes; none if somebody else changed the case meanwhile.
    ///
    /// Where nothing changes, an earlier look may have changed it and died before it told: what no event
    /// of the case's own changed last is told again, with the ids that it had.
    pub async fn look_again(
        &self,
        catalogue: &Catalogue,
        ente: &Ente,
        (id, persons): (CaseId, &[PersonKey]),
        at_ms: Option<i64>,
    ) -> Result<Option<Vec<Outcome>>, TakeError> {
        let loaded = self.store.load(&ente.id, None, &[id], persons).await?;
        let Some(unit) = loaded.units.first().filter(|unit| unit.known) else { return Ok(Some(Vec::new())) };
        let now_ms = at_ms.unwrap_or(loaded.now_ms);
        let Some(ctx) = context(catalogue, ente, &unit.case.servizio, now_ms) else {
            return Ok(Some(Vec::new()));
        };
        let facts: Vec<_> = loaded.persons.iter().map(|(facts, _)| facts.clone()).collect();
        let Some((case, actions)) = look_again(&ctx, &unit.case, &facts, &|slot| unit.progress(slot)) else {
            return Ok(Some(told_again(&ctx, &unit.case, &id, LOOKED_AT_AGAIN, &self.hash)));
        };
        let told = outcomes(&ctx, &case, &id, &actions, &self.hash);
        let commit =
            Commit { event: None, units: vec![(unit, &case, &actions)], persons: vec![], propagate: false };
        match self.store.commit(&ente.id, &commit).await? {
            Committed::Done => Ok(Some(told)),
            Committed::Seen(_) | Committed::Conflict => Ok(None),
        }
    }
}

/// Whether a known event is not in a case that it must have made: the record is gone while the event's id
/// remains. Retention takes both at once.
fn is_torn(touches: &[Touch<'_>], loaded: &Loaded, key: &EventKey) -> bool {
    let made = touches.iter().zip(&loaded.units).filter(|(touch, _)| !touch.only_if_known);
    made.into_iter().any(|(_, unit)| !unit.known || !unit.case.events.contains(key))
}

/// When a known event was taken, Unix milliseconds: its fact says, unless a newer one took its place.
fn taken_ms(loaded: &Loaded, event: &str) -> i64 {
    let things = loaded.units.iter().flat_map(|unit| unit.case.things.values());
    let mut facts = things.flat_map(|thing| thing.values().flatten());
    facts.find(|fact| fact.stamp.id == event).map_or(loaded.now_ms, |fact| fact.taken_ms)
}

fn plan(
    arrival: &Arrival<'_>,
    touches: &[Touch<'_>],
    persons: &[PersonKey],
    (loaded, now_ms): (&Loaded, i64),
) -> Change {
    let progress: Vec<_> = loaded.units.iter().map(|unit| |slot| unit.progress(slot)).collect();
    let before: Vec<Before<'_>> = loaded
        .units
        .iter()
        .zip(&progress)
        .map(|(unit, progress)| Before { case: unit.known.then_some(&unit.case), progress })
        .collect();
    let facts: Vec<_> = loaded.persons.iter().map(|(facts, _)| facts.clone()).collect();
    arrival.plan(now_ms, touches, &before, (persons, &facts))
}

fn commit_of<'a>(
    change: &'a Change,
    loaded: &'a Loaded,
    event: ([u8; 12], &'a [u8]),
    persons: &[PersonKey],
) -> Result<Commit<'a>, StoreError> {
    let units = change.cases.iter().map(|(index, case, actions)| (&loaded.units[*index], case, &actions[..]));
    let mut written = Vec::with_capacity(persons.len());
    for (index, person) in persons.iter().enumerate() {
        let facts = change.facts.get(index).map(encode).transpose()?;
        let links = change.links.iter().filter(|(linked, _)| linked == person).map(|(_, id)| *id).collect();
        written.push((*person, &loaded.persons[index].1[..], facts, links));
    }
    Ok(Commit { event: Some(event), units: units.collect(), persons: written, propagate: change.propagate })
}
