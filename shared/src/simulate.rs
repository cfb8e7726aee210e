//! The fleet on a virtual clock, without I/O: events in, the timeline out.
//!
//! It is made of the very functions that the services are made of: the check, the planner, the renderer.
//! Only the store is a map and IO answers at once. `promemoria simulate` and the acceptance stories run
//! on it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::arrival::{Arrival, Before, context, look_again};
use crate::domain::FiscalCode;
use crate::domain::case::{Case, Motivo, PersonKey, Planned, Progress, Things};
use crate::domain::catalogue::{Catalogue, InDubbio};
use crate::domain::ente::Ente;
use crate::domain::event::{CaseEvent, Refusal};
use crate::domain::plan::{Action, Due, fire};
use crate::domain::render::{Texts, render};
use crate::formats;
use crate::store::keys::{CaseId, event_key};
use crate::wire::telling::{message_ref, not_sent, office, outcomes};
use crate::wire::{DispatchRequest, Level, MessageRef, Outcome, RecipientHash, RenderRequest};

/// Something that happened on the timeline.
#[derive(Debug, Clone)]
pub struct Moment {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum What {
    /// An event was taken; the text is its type and id.
    Taken {
        /// Event type.
        tipo: String,
        /// Event id.
        id: String,
    },
    /// The same event came again.
    Duplicate {
        /// Event id.
        id: String,
    },
    /// An event was refused.
    Refused(Refusal),
    /// A message was sent.
    Sent(Box<DispatchRequest>),
    /// A message could not be rendered.
    Failed {
        /// Which message.
        message: MessageRef,
        /// Why.
        reason: String,
    },
    /// The ente was told something else: armed, moved, discarded, an office timer.
    Told(Outcome),
}

/// What the simulation runs on.
pub struct World<'a> {
    /// The catalogue.
    pub catalogue: &'a Catalogue,
    /// The ente.
    pub ente: &'a Ente,
    /// The compiled texts.
    pub texts: &'a Texts,
    /// The keyed hash of recipients.
    pub hash: &'a RecipientHash,
    /// Recipients that are not on IO.
    pub not_on_io: HashSet<FiscalCode>,
    /// IO refuses Premium, whatever the contract says.
    pub premium_refused: bool,
}

/// A running simulation.
pub struct Simulation<'a> {
    world: World<'a>,
    now: DateTime<Utc>,
    cases: BTreeMap<CaseId, Case>,
    progress: HashMap<(CaseId, u16), Progress>,
    persons: HashMap<PersonKey, Person>,
    seen: HashMap<[u8; 12], [u8; 32]>,
    timeline: Vec<Moment>,
}

#[derive(Default)]
struct Person {
    facts: Things,
    cases: Vec<CaseId>,
}

impl<'a> Simulation<'a> {
    /// An empty one, at an instant.
    #[must_use]
    pub fn new(world: World<'a>, start: DateTime<Utc>) -> Self {
        Self {
            world,
            now: start,
            cases: BTreeMap::new(),
            progress: HashMap::new(),
            persons: HashMap::new(),
            seen: HashMap::new(),
            timeline: Vec::new(),
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn timeline(&self) -> &[Moment] {
        &self.timeline
    }

    /// What is in the schedule, earliest first.
    #[must_use]
    pub fn armed(&self) -> Vec<(&Case, &Planned)> {
        let live = self.cases.iter().flat_map(|(id, case)| {
            let planned = case
                .planned
                .iter()
                .filter(|p| p.standing.is_armed() && self.progress_of(*id, p.slot) == Progress::Pending);
            planned.map(move |p| (case, p))
        });
        let mut armed: Vec<_> = live.collect();
        armed.sort_by_key(|(_, planned)| planned.due_ms);
        armed
    }

    /// Takes one event, as published with this routing key, at this instant: first whatever falls due
    /// before it. An instant before the present one is the present one.
    pub fn publish(&mut self, body: &[u8], routing_key: &str, at: DateTime<Utc>) {
        self.advance(at);
        let world = &self.world;
        let ente = world.ente;
        let known = |id: &str| (id == ente.id).then_some(ente);
        match CaseEvent::parse(
            body,
            Some("application/cloudevents+json"),
            routing_key,
            world.catalogue,
            known,
        ) {
            Ok(event) => self.take(&event),
            Err(refusal) => self.note(What::Refused(refusal)),
        }
        self.send_due();
    }

    /// Moves the clock forward, sending whatever falls due on the way.
    pub fn advance(&mut self, to: DateTime<Utc>) {
        while let Some(next) = self.armed().first().map(|(_, planned)| planned.due_ms) {
            if next > to.timestamp_millis() {
                break;
            }
            self.now = DateTime::from_timestamp_millis(next).unwrap_or(to).max(self.now);
            self.send_due();
        }
        self.now = self.now.max(to);
    }

    fn note(&mut self, what: What) {
        self.timeline.push(Moment { at: self.now, what });
    }

    fn progress_of(&self, id: CaseId, slot: u16) -> Progress {
        self.progress.get(&(id, slot)).copied().unwrap_or(Progress::Pending)
    }

    fn take(&mut self, event: &CaseEvent) {
        match self.seen.get(&event_key(&event.source, &event.id)) {
            Some(hash) if *hash == event.body_hash => {
                self.note(What::Duplicate { id: event.id.clone() });
                return;
            }
            Some(_) => {
                self.note(What::Refused(Refusal::conflict(event)));
                return;
            }
            None => {}
        }
        self.seen.insert(event_key(&event.source, &event.id), event.body_hash);
        self.note(What::Taken { tipo: event.tipo.clone(), id: event.id.clone() });
        let (catalogue, ente, hash) = (self.world.catalogue, self.world.ente, self.world.hash);
        let Some(arrival) = Arrival::new(event, catalogue, ente, hash) else { return };
        let touches = arrival.touches();
        let persons = arrival.persons(&touches);
        let change = {
            let progress: Vec<_> =
                touches.iter().map(|touch| |slot| self.progress_of(touch.id, slot)).collect();
            let before: Vec<Before<'_>> = touches
                .iter()
                .zip(&progress)
                .map(|(touch, progress)| Before { case: self.cases.get(&touch.id), progress })
                .collect();
            let facts: Vec<Things> = persons
                .iter()
                .map(|person| self.persons.get(person).map(|p| p.facts.clone()).unwrap_or_default())
                .collect();
            arrival.plan(self.now.timestamp_millis(), &touches, &before, (&persons, &facts))
        };
        for (index, case, actions) in change.cases {
            self.write(touches[index].id, case, &actions);
        }
        for (person, id) in change.links {
            let cases = &mut self.persons.entry(person).or_default().cases;
            if !cases.contains(&id) {
                cases.push(id);
            }
        }
        for outcome in change.outcomes {
            self.note(What::Told(outcome));
        }
        if change.propagate {
            self.propagate(&persons, change.facts);
        }
    }

    fn write(&mut self, id: CaseId, case: Case, actions: &[Action]) {
        for action in actions {
            if let Action::Cancel { slot } = action {
                self.progress.insert((id, *slot), Progress::Over);
            }
        }
        self.cases.insert(id, case);
    }

    fn propagate(&mut self, persons: &[PersonKey], facts: Vec<Things>) {
        let mut cases = Vec::new();
        for (person, facts) in persons.iter().zip(facts) {
            let person = self.persons.entry(*person).or_default();
            person.facts = facts;
            cases.extend(person.cases.iter().copied());
        }
        for id in cases {
            self.look_again(id);
        }
    }

    fn look_again(&mut self, id: CaseId) {
        let Some(case) = self.cases.get(&id) else { return };
        let world = &self.world;
        let now = self.now.timestamp_millis();
        let Some(ctx) = context(world.catalogue, world.ente, &case.servizio, now) else { return };
        let facts: Vec<Things> =
            case.persons.iter().filter_map(|p| self.persons.get(p)).map(|p| p.facts.clone()).collect();
        let Some((after, actions)) = look_again(&ctx, case, &facts, &|slot| self.progress_of(id, slot))
        else {
            return;
        };
        let told = outcomes(&ctx, &after, &id, &actions, world.hash);
        self.write(id, after, &actions);
        for outcome in told {
            self.note(What::Told(outcome));
        }
    }

    /// Sends everything that is due now.
    fn send_due(&mut self) {
        loop {
            let now = self.now.timestamp_millis();
            let due = self.cases.iter().flat_map(|(id, case)| case.planned.iter().map(move |p| (*id, p)));
            let next = due
                .filter(|(id, p)| {
                    p.standing.is_armed()
                        && p.due_ms <= now
                        && self.progress_of(*id, p.slot) == Progress::Pending
                })
                .min_by_key(|(_, p)| p.due_ms)
                .map(|(id, p)| (id, p.slot));
            let Some((id, slot)) = next else { return };
            let (what, progress) = self.fall_due(id, slot);
            self.progress.insert((id, slot), progress);
            let fell_back = progress == Progress::SentStandard && self.world.premium_refused;
            if let Some(what) = what {
                self.note(what);
            }
            if fell_back {
                self.look_again(id);
            }
        }
    }

    fn fall_due(&self, id: CaseId, slot: u16) -> (Option<What>, Progress) {
        let world = &self.world;
        let nothing = (None, Progress::Over);
        let Some(case) = self.cases.get(&id) else { return nothing };
        let Some(planned) = case.planned.iter().find(|p| p.slot == slot) else { return nothing };
        let now = self.now.timestamp_millis();
        let Some(ctx) = context(world.catalogue, world.ente, &case.servizio, now) else { return nothing };
        let discard = |motivo| {
            let outcome = not_sent(&ctx, case, &id, planned, (motivo, world.hash));
            (Some(What::Told(outcome)), Progress::Over)
        };
        match fire(&ctx, case, planned) {
            Due::Gone => nothing,
            Due::Office => (Some(What::Told(office(&ctx, case, &id, planned, world.hash))), Progress::Over),
            Due::Discard(motivo) => discard(motivo),
            Due::Send { recipient, .. } if world.not_on_io.contains(&recipient) => {
                discard(Motivo::DestinatarioNonRaggiungibile)
            }
            Due::Send { recipient, fields, taken_ms } => {
                let message = MessageRef { attempt: 1, ..message_ref(&ctx, case, &id, planned) };
                let request = RenderRequest {
                    v: formats::RENDER.written(),
                    message: message.clone(),
                    codice_fiscale: recipient,
                    campi: fields,
                    solo_standard: world.premium_refused,
                    dovuto_ms: planned.due_ms,
                    utile_fino_ms: planned.useful_until_ms,
                    accolto_ms: taken_ms,
                };
                match render(world.texts, world.catalogue, world.ente, &request, InDubbio::Hold) {
                    Ok(sent) => {
                        let standard = sent.livello == Level::Standard;
                        let progress = if standard { Progress::SentStandard } else { Progress::SentAdvanced };
                        (Some(What::Sent(Box::new(sent))), progress)
                    }
                    Err(error) => (Some(What::Failed { message, reason: error.to_string() }), Progress::Over),
                }
            }
        }
    }
}
