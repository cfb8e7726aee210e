//! Taking a checked event: load its cases, plan, commit all of it or nothing.

use shared::arrival::{Arrival, Before, Change, context, look_again};
use shared::domain::case::PersonKey;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::domain::event::CaseEvent;
use shared::store::cases::encode;
use shared::store::keys::{CaseId, event_key};
use shared::store::{CaseStore, Commit, Committed, Loaded, StoreError};
use shared::wire::telling::{outcomes, told_again};
use shared::wire::{Outcome, RecipientHash};

/// How often a commit may meet another one before the event waits. Every meeting means that somebody else
/// got through, so this many in a row are a fault.
const MEETINGS: u32 = 50;

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It was new; what it led to.
    New(Vec<Outcome>),
    /// It was known. The outcomes it led to, as far as they still stand.
    Known(Vec<Outcome>),
    /// Its id was used for another content.
    Conflict,
}

/// Why an event could not be taken now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other commits came first too often.
    #[error("the case changes too fast: other commits came first {MEETINGS} times")]
    Contended,
}

/// Takes events into the store.
#[derive(Clone)]
pub(crate) struct Taker {
    pub(crate) store: CaseStore,
    pub(crate) hash: RecipientHash,
}

impl Taker {
    /// Takes one event. The same event again has no effect.
    pub(crate) async fn take(
        &self,
        event: &CaseEvent,
        catalogue: &Catalogue,
        ente: &Ente,
    ) -> Result<Taken, TakeError> {
        let Some(arrival) = Arrival::new(event, catalogue, ente, &self.hash) else {
            return Ok(Taken::New(Vec::new())); // the check refuses unknown types before
        };
        let key = event_key(&event.source, &event.id);
        let remember = &event.body_hash[..8];
        let touches = arrival.touches();
        let persons = arrival.persons(&touches);
        let ids: Vec<CaseId> = touches.iter().map(|touch| touch.id).collect();
        for _ in 0..MEETINGS {
            let loaded = self.store.load(&ente.id, Some(&key), &ids, &persons).await?;
            if let Some(known) = &loaded.seen {
                return Ok(if known == remember { self.known(&arrival, &loaded) } else { Taken::Conflict });
            }
            let change = plan(&arrival, &touches, &persons, &loaded);
            let commit = commit_of(&change, &loaded, (key, remember), &persons)?;
            match self.store.commit(&ente.id, &commit).await? {
                Committed::Done => return Ok(Taken::New(change.outcomes)),
                Committed::Seen(known) if known != remember => return Ok(Taken::Conflict),
                Committed::Seen(_) | Committed::Conflict => {}
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
        Taken::Known(told.unwrap_or_default())
    }

    /// Looks at a case again: facts of its persons came, a notice went otherwise than planned. Returns the
    /// outcomes; none if somebody else changed the case meanwhile.
    pub(crate) async fn look_again(
        &self,
        catalogue: &Catalogue,
        ente: &Ente,
        id: CaseId,
        persons: &[PersonKey],
    ) -> Result<Option<Vec<Outcome>>, TakeError> {
        let loaded = self.store.load(&ente.id, None, &[id], persons).await?;
        let Some(unit) = loaded.units.first().filter(|unit| unit.known) else { return Ok(Some(Vec::new())) };
        let Some(ctx) = context(catalogue, ente, &unit.case.servizio, loaded.now_ms) else {
            return Ok(Some(Vec::new()));
        };
        let facts: Vec<_> = loaded.persons.iter().map(|(facts, _)| facts.clone()).collect();
        let Some((case, actions)) = look_again(&ctx, &unit.case, &facts, &|slot| unit.progress(slot)) else {
            return Ok(Some(Vec::new()));
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

fn plan(
    arrival: &Arrival<'_>,
    touches: &[shared::arrival::Touch<'_>],
    persons: &[PersonKey],
    loaded: &Loaded,
) -> Change {
    let progress: Vec<_> = loaded.units.iter().map(|unit| |slot| unit.progress(slot)).collect();
    let before: Vec<Before<'_>> = loaded
        .units
        .iter()
        .zip(&progress)
        .map(|(unit, progress)| Before { case: unit.known.then_some(&unit.case), progress })
        .collect();
    let facts: Vec<_> = loaded.persons.iter().map(|(facts, _)| facts.clone()).collect();
    arrival.plan(loaded.now_ms, touches, &before, (persons, &facts))
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
