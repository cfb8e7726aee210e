//! The planner: what a case's facts lead to, as a pure function.
//!
//! `apply` takes one event into a case, `replan` looks at it again, `fire` decides what a planned message
//! does when it falls due. Everything follows from the facts, the catalogue's rules, the ente's choices
//! and `now`: no I/O, no clock. `facts` reads the facts of a thing, `rule` holds a rule against them,
//! `instants` reckons dates, `immediate` and `timers` bring what is planned into line.

mod facts;
mod fire;
mod immediate;
mod instants;
mod key;
mod rule;
mod timers;

use chrono::{DateTime, Utc};

pub use fire::{Due, fire};
pub use key::{case_id, message_key};

use super::FiscalCode;
use super::calendar::Calendar;
use super::case::{Case, Fact, Motivo, Planned, Progress, Stamp, Standing, record, thing_key};
use super::catalogue::{Catalogue, Pianificazione, Service};
use super::ente::Ente;
use super::event::CaseEvent;

/// What planning looks at beside the case.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The catalogue in force.
    pub catalogue: &'a Catalogue,
    /// The ente.
    pub ente: &'a Ente,
    /// The case's service.
    pub service: &'a Service,
    /// The present instant, by the store's clock.
    pub now: DateTime<Utc>,
}

impl<'a> Context<'a> {
    /// The ente's calendar.
    #[must_use]
    pub fn calendar(&self) -> Calendar<'a> {
        self.ente.calendario(&self.catalogue.festivita)
    }

    /// The present instant, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now.timestamp_millis()
    }

    /// Every rule of the service, by name.
    fn rules(&self) -> impl Iterator<Item = (&'a str, &'a Pianificazione)> + use<'a> {
        let messages = self.service.messaggi.values().map(|m| (m.id.as_str(), &m.regola));
        let timers = self.service.timer.values().map(|t| (t.id.as_str(), &t.regola));
        messages.chain(timers)
    }

    /// Whether the rule is a message type's, not an office timer's.
    #[must_use]
    pub fn is_message(&self, rule: &str) -> bool {
        self.service.messaggi.contains_key(rule)
    }

    /// Whether the ente runs that message type or office timer.
    fn is_active(&self, rule: &str) -> bool {
        let choices = self.ente.servizi.get(&self.service.scheda.id);
        if let Some(timer) = self.service.timer.get(rule) {
            return choices.and_then(|c| c.timer.get(rule)?.attivo).unwrap_or(timer.attivo);
        }
        choices.and_then(|c| c.messaggi.get(rule)?.attivo).unwrap_or(true)
    }
}

/// One change of what is planned, for the store to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Put it in the schedule.
    Arm {
        /// The planned message.
        slot: u16,
    },
    /// Put it at another instant; an emission already under way is void.
    Move {
        /// The planned message.
        slot: u16,
    },
    /// Take it out of the schedule; an emission already under way is void.
    Cancel {
        /// The planned message.
        slot: u16,
    },
    /// Nothing to schedule: it was discarded as it was planned.
    Discard {
        /// The planned message.
        slot: u16,
    },
}

impl Action {
    /// The planned message it changes.
    #[must_use]
    pub fn slot(self) -> u16 {
        match self {
            Self::Arm { slot } | Self::Move { slot } | Self::Cancel { slot } | Self::Discard { slot } => slot,
        }
    }
}

/// Takes an event into a case and brings what is planned into line with it.
///
/// `progress` says how far each planned message has come. In a share of a list event (`case.share`) only
/// list events lead to messages, elsewhere only the others.
pub fn apply(
    ctx: &Context<'_>,
    case: &mut Case,
    event: &CaseEvent,
    recipient: Option<&FiscalCode>,
    progress: &dyn Fn(u16) -> Progress,
) -> Vec<Action> {
    let Some(tipo) = ctx.service.eventi.get(&event.tipo) else { return Vec::new() };
    let key = thing_key(&tipo.cosa, &tipo.identita, &event.fields);
    let fact = Fact {
        stamp: Stamp {
            time_ms: event.time.timestamp_millis(),
            sequence: event.sequence,
            id: event.id.clone(),
        },
        recipient: recipient.cloned(),
        fields: event.fields.clone(),
        importazione: event.importazione,
        taken_ms: ctx.now_ms(),
        trace: event.traceparent,
    };
    let before = facts::merged_fields(ctx, case, &key);
    let is_news = record(&mut case.things, &key, &tipo.tipo, tipo.modifica, fact);
    let mut planning = Planning { ctx, case, progress, cause: &event.id, actions: Vec::new() };
    if tipo.lista == planning.case.share && !event.importazione {
        immediate::plan(&mut planning, event, &key, is_news, &before);
    }
    timers::reconcile(&mut planning);
    let actions = planning.actions;
    forget(case, &actions, progress);
    actions
}

/// Looks at a case again: facts came by another way (another case of the same person), a notice went out
/// otherwise than planned, or the ente's choices changed.
pub fn replan(ctx: &Context<'_>, case: &mut Case, progress: &dyn Fn(u16) -> Progress) -> Vec<Action> {
    let mut planning = Planning { ctx, case, progress, cause: LOOKED_AT_AGAIN, actions: Vec::new() };
    timers::reconcile(&mut planning);
    planning.actions
}

/// In the place of an event's id, what changed because a case was looked at again. No event has an empty id.
pub const LOOKED_AT_AGAIN: &str = "";

/// A case under planning, and the changes so far.
struct Planning<'a, 'b> {
    ctx: &'a Context<'b>,
    case: &'a mut Case,
    progress: &'a dyn Fn(u16) -> Progress,
    cause: &'a str,
    actions: Vec<Action>,
}

impl Planning<'_, '_> {
    /// How far it has come; what was armed in this very planning is pending.
    fn progress(&self, slot: u16) -> Progress {
        let fresh = self.actions.iter().any(|a| matches!(a, Action::Arm { slot: s } if *s == slot));
        if fresh { Progress::Pending } else { (self.progress)(slot) }
    }

    fn is_live(&self, planned: &Planned) -> bool {
        planned.standing.is_armed() && self.progress(planned.slot) == Progress::Pending
    }

    /// Adds a planned message in the next slot, with the action its standing asks for.
    fn add(&mut self, mut planned: Planned) {
        planned.slot = self.case.next_slot;
        planned.cycle = self
            .case
            .planned
            .iter()
            .filter(|p| p.rule == planned.rule && p.thing == planned.thing && p.firing == planned.firing)
            .map(|p| p.cycle + 1)
            .max()
            .unwrap_or(0);
        self.case.next_slot = self.case.next_slot.wrapping_add(1);
        let slot = planned.slot;
        match planned.standing {
            Standing::Armed | Standing::Moved => self.actions.push(Action::Arm { slot }),
            Standing::Discarded(_) => self.actions.push(Action::Discard { slot }),
            Standing::Missed => {}
        }
        self.case.planned.push(planned);
    }

    /// Takes a live one back. One armed in this very planning was never seen by anybody: it stays discarded
    /// without having been armed.
    fn cancel(&mut self, index: usize, motivo: Motivo) {
        let planned = &mut self.case.planned[index];
        planned.standing = Standing::Discarded(motivo);
        planned.changes_by(self.cause);
        let slot = planned.slot;
        self.actions.retain(|action| action.slot() != slot);
        self.actions.push(Action::Cancel { slot });
    }

    /// Moves a live one to another instant.
    fn reschedule(&mut self, index: usize, due_ms: i64) {
        let planned = &mut self.case.planned[index];
        planned.due_ms = due_ms;
        planned.standing = Standing::Moved;
        planned.changes_by(self.cause);
        let slot = planned.slot;
        if !self.actions.iter().any(|action| action.slot() == slot) {
            self.actions.push(Action::Move { slot });
        }
    }
}

/// Most finished entries of one rule and thing that a case remembers; the newest are kept.
const FINISHED_KEPT: usize = 8;

/// Forgets the oldest finished entries of a case that is revised very often. Those of this planning stay,
/// and so does what is live; the newest of each firing stays, because the next one's key counts on it.
fn forget(case: &mut Case, actions: &[Action], progress: &dyn Fn(u16) -> Progress) {
    if case.planned.len() <= FINISHED_KEPT * 4 {
        return;
    }
    let touched: Vec<u16> = actions.iter().map(|action| action.slot()).collect();
    let mut seen: Vec<(String, String, usize)> = Vec::new();
    let mut keep: Vec<bool> = vec![true; case.planned.len()];
    for (index, planned) in case.planned.iter().enumerate().rev() {
        let group = seen.iter_mut().find(|(rule, thing, _)| *rule == planned.rule && *thing == planned.thing);
        let count = if let Some((_, _, count)) = group {
            *count += 1;
            *count
        } else {
            seen.push((planned.rule.clone(), planned.thing.clone(), 1));
            1
        };
        let live = planned.standing.is_armed()
            && matches!(progress(planned.slot), Progress::Pending | Progress::Leaving);
        keep[index] = live || touched.contains(&planned.slot) || count <= FINISHED_KEPT;
    }
    let mut index = 0;
    case.planned.retain(|_| {
        index += 1;
        keep[index - 1]
    });
}
