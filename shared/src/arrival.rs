//! An event against all it touches: which cases and persons, and what it changes in them.
//!
//! Pure: the scheduler loads and commits around it, `simulate` keeps everything in memory.

use std::collections::HashSet;

use chrono::DateTime;

use crate::domain::FiscalCode;
use crate::domain::case::{Case, Fact, PersonKey, Progress, Stamp, Thing, Things, merge, record, thing_key};
use crate::domain::catalogue::{Catalogue, TipoEvento, holds};
use crate::domain::ente::Ente;
use crate::domain::event::CaseEvent;
use crate::domain::plan::{Action, Context, apply, case_id, replan};
use crate::store::keys::{CaseId, event_key};
use crate::wire::telling::outcomes;
use crate::wire::{Outcome, RecipientHash};

/// A checked event and what it is planned with.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The event.
    pub event: &'a CaseEvent,
    /// Its type.
    pub tipo: &'a TipoEvento,
    /// The catalogue in force.
    pub catalogue: &'a Catalogue,
    /// Its ente.
    pub ente: &'a Ente,
    /// The keyed hash of recipients.
    pub hash: &'a RecipientHash,
}

/// One case that an event touches.
#[derive(Debug, Clone)]
pub struct Touch<'a> {
    /// The case's key.
    pub id: CaseId,
    /// It is a recipient's share of a list event.
    pub share: bool,
    /// Who gets the messages.
    pub recipient: Option<&'a FiscalCode>,
    /// The person concerned.
    pub person: Option<PersonKey>,
    /// Touched only if it is there already.
    pub only_if_known: bool,
}

/// A case before the event.
pub struct Before<'a> {
    /// The case; none if it is new.
    pub case: Option<&'a Case>,
    /// How far its messages have come.
    pub progress: &'a dyn Fn(u16) -> Progress,
}

/// What an event changes.
#[derive(Debug, Default)]
pub struct Change {
    /// Place among the touched cases, the case as it becomes, what changes in the schedule.
    pub cases: Vec<(usize, Case, Vec<Action>)>,
    /// What the ente is told.
    pub outcomes: Vec<Outcome>,
    /// Persons and the cases they are concerned by.
    pub links: Vec<(PersonKey, CaseId)>,
    /// The facts of the persons, in their order, as they become; empty if they stay.
    pub facts: Vec<Things>,
    /// Every other case of those persons has to be looked at again.
    pub propagate: bool,
}

impl<'a> Arrival<'a> {
    /// None if the event's service or type is not in the catalogue: the check refuses those before.
    #[must_use]
    pub fn new(
        event: &'a CaseEvent,
        catalogue: &'a Catalogue,
        ente: &'a Ente,
        hash: &'a RecipientHash,
    ) -> Option<Self> {
        let tipo = catalogue.servizio(&event.servizio)?.eventi.get(&event.tipo)?;
        Some(Self { event, tipo, catalogue, ente, hash })
    }

    /// The cases an event touches: each recipient's share of a list event; else the case itself, and the
    /// share of it that a list event may have given its recipient.
    #[must_use]
    pub fn touches(&self) -> Vec<Touch<'a>> {
        if self.tipo.lista {
            return self.event.destinatari.iter().map(|code| self.share(code, None, false)).collect();
        }
        let recipient = self.event.recipient.as_ref();
        let person = self.event.titolare.as_ref().or(recipient).and_then(|code| self.person(code));
        let id = case_id(&self.event.servizio, &self.event.pratica, None);
        let own = Touch { id, share: false, recipient, person, only_if_known: false };
        std::iter::once(own).chain(recipient.map(|code| self.share(code, person, true))).collect()
    }

    fn share(&self, code: &'a FiscalCode, person: Option<PersonKey>, only_if_known: bool) -> Touch<'a> {
        let hash = self.hash.of(code);
        Touch {
            id: case_id(&self.event.servizio, &self.event.pratica, Some(&hash)),
            share: true,
            recipient: Some(code),
            person: person.or_else(|| person_key(&hash)),
            only_if_known,
        }
    }

    fn person(&self, code: &FiscalCode) -> Option<PersonKey> {
        person_key(&self.hash.of(code))
    }

    /// The persons whose facts count: those of the cases touched, then those the event itself is about.
    #[must_use]
    pub fn persons(&self, touches: &[Touch<'_>]) -> Vec<PersonKey> {
        let mut persons: Vec<PersonKey> = touches.iter().filter_map(|touch| touch.person).collect();
        if self.is_about_persons() {
            persons.extend(self.event.titolari.iter().filter_map(|code| self.person(code)));
        }
        let mut seen = HashSet::new();
        persons.retain(|person| seen.insert(*person));
        persons
    }

    /// Whether the event counts in every case of its persons.
    #[must_use]
    pub fn is_about_persons(&self) -> bool {
        self.tipo.persona.as_ref().is_some_and(|persona| {
            holds(&persona.dove, &self.event.fields)
                && (persona.campo.is_none() || !self.event.titolari.is_empty())
        })
    }

    /// What the event changes at `now_ms`. `before` and `facts` are in the order of `touches` and `persons`.
    #[must_use]
    pub fn plan(
        &self,
        now_ms: i64,
        touches: &[Touch<'_>],
        before: &[Before<'_>],
        persons: (&[PersonKey], &[Things]),
    ) -> Change {
        let mut change = Change { propagate: self.is_about_persons(), ..Change::default() };
        let Some(ctx) = context(self.catalogue, self.ente, &self.event.servizio, now_ms) else {
            return change;
        };
        for (index, (touch, before)) in touches.iter().zip(before).enumerate() {
            if touch.only_if_known && before.case.is_none() {
                continue;
            }
            let mut case = self.opened(before.case, touch);
            for (person, facts) in persons.0.iter().zip(persons.1) {
                if touch.person == Some(*person) {
                    adopt(&ctx, &mut case, facts);
                }
            }
            let actions = apply(&ctx, &mut case, self.event, touch.recipient, before.progress);
            change.outcomes.extend(outcomes(&ctx, &case, &touch.id, &actions, self.hash));
            change.links.extend(touch.person.map(|person| (person, touch.id)));
            change.cases.push((index, case, actions));
        }
        if change.propagate {
            change.facts = persons.1.iter().map(|facts| self.with_fact(facts, now_ms)).collect();
        }
        change
    }

    /// The case as it was, or a new one, with the event noted in it.
    fn opened(&self, before: Option<&Case>, touch: &Touch<'_>) -> Case {
        let event = self.event;
        let mut case = before.cloned().unwrap_or_else(|| Case {
            servizio: event.servizio.clone(),
            pratica: event.pratica.clone(),
            share: touch.share,
            ..Case::default()
        });
        if let Some(person) = touch.person.filter(|person| !case.persons.contains(person)) {
            case.persons.push(person);
        }
        case.events.push(event_key(&event.source, &event.id));
        case
    }

    fn with_fact(&self, facts: &Things, now_ms: i64) -> Things {
        let (event, tipo) = (self.event, self.tipo);
        let mut facts = facts.clone();
        let fact = Fact {
            stamp: Stamp {
                time_ms: event.time.timestamp_millis(),
                sequence: event.sequence,
                id: event.id.clone(),
            },
            recipient: event.recipient.clone(),
            fields: event.fields.clone(),
            importazione: event.importazione,
            taken_ms: now_ms,
            trace: event.traceparent,
        };
        let key = thing_key(&tipo.cosa, &tipo.identita, &event.fields);
        record(&mut facts, &key, &tipo.tipo, tipo.modifica, fact);
        facts
    }
}

/// Looks at a case again, with the facts of its persons. None if nothing changes.
#[must_use]
pub fn look_again(
    ctx: &Context<'_>,
    case: &Case,
    facts: &[Things],
    progress: &dyn Fn(u16) -> Progress,
) -> Option<(Case, Vec<Action>)> {
    let mut after = case.clone();
    for facts in facts {
        adopt(ctx, &mut after, facts);
    }
    let actions = replan(ctx, &mut after, progress);
    (after != *case).then_some((after, actions))
}

/// What the planner looks at; none if the service is not in the catalogue.
#[must_use]
pub fn context<'a>(
    catalogue: &'a Catalogue,
    ente: &'a Ente,
    servizio: &str,
    now_ms: i64,
) -> Option<Context<'a>> {
    let now = DateTime::from_timestamp_millis(now_ms)?;
    Some(Context { catalogue, ente, service: catalogue.servizio(servizio)?, now })
}

/// Takes the facts of a person into one of its cases, as far as the case's service knows such events.
fn adopt(ctx: &Context<'_>, case: &mut Case, facts: &Things) {
    let eventi = &ctx.service.eventi;
    for (key, thing) in facts {
        let known: Thing = thing
            .iter()
            .filter(|(tipo, _)| eventi.contains_key(*tipo))
            .map(|(tipo, facts)| (tipo.clone(), facts.clone()))
            .collect();
        if !known.is_empty() {
            let one = Things::from([(key.clone(), known)]);
            merge(&mut case.things, &one, |tipo| eventi.get(tipo).is_some_and(|t| t.modifica));
        }
    }
}

/// The first 8 bytes of a keyed hash in hex.
fn person_key(hash: &str) -> Option<PersonKey> {
    let mut key = [0; 8];
    for (byte, place) in key.iter_mut().zip((0..16).step_by(2)) {
        *byte = u8::from_str_radix(hash.get(place..place + 2)?, 16).ok()?;
    }
    Some(key)
}
