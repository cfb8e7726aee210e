//! What the ente is told of a planning.

use chrono::{DateTime, SecondsFormat};

use crate::domain::case::{Case, Fact, Motivo, Planned, Standing};
use crate::domain::plan::{Action, Context, message_key};
use crate::domain::{TraceContext, hex};

use super::{MessageRef, Outcome, RecipientHash};

/// The outcomes of a planning, in the order of its actions.
#[must_use]
pub fn outcomes(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    actions: &[Action],
    hash: &RecipientHash,
) -> Vec<Outcome> {
    let planned_of = |action: &Action| case.planned.iter().find(|p| p.slot == action.slot());
    actions.iter().filter_map(|action| told(ctx, case, case_id, planned_of(action)?, hash)).collect()
}

/// The outcomes that the event with this id led to, told again because the first telling may have been
/// lost.
#[must_use]
pub fn told_again(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    event: &str,
    hash: &RecipientHash,
) -> Vec<Outcome> {
    case.planned
        .iter()
        .filter(|planned| planned.last_event() == event)
        .filter_map(|planned| told(ctx, case, case_id, planned, hash))
        .collect()
}

fn told(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    hash: &RecipientHash,
) -> Option<Outcome> {
    let outcome = |tipo| addressed(about(ctx, case, case_id, planned, tipo), case, planned, hash);
    match planned.standing {
        // What goes at once is not in the schedule: `messaggio.inviato` will tell.
        Standing::Armed | Standing::Moved if planned.due_ms <= ctx.now_ms() => None,
        Standing::Armed => Some(with_due(ctx, outcome("messaggio.programmato"), planned, "armato")),
        Standing::Moved => Some(with_due(ctx, outcome("messaggio.programmato"), planned, "spostato")),
        Standing::Discarded(motivo) => Some(discarded(outcome("messaggio.scartato"), motivo)),
        Standing::Missed => None,
    }
}

/// `messaggio.scartato` with its reason.
fn discarded(outcome: Outcome, motivo: Motivo) -> Outcome {
    outcome.with("motivo", motivo.as_str())
}

fn with_due(ctx: &Context<'_>, outcome: Outcome, planned: &Planned, azione: &str) -> Outcome {
    let due = local(ctx, planned.due_ms);
    outcome.telling(&format!("{azione}/{}", planned.due_ms)).with("scadenza", due).with("azione", azione)
}

/// An instant with the ente's offset, RFC 3339.
fn local(ctx: &Context<'_>, at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms)
        .map(|at| at.with_timezone(&ctx.ente.fuso).to_rfc3339_opts(SecondsFormat::Secs, false))
        .unwrap_or_default()
}

/// An outcome that speaks of a planned message or office timer.
fn about(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    tipo: &'static str,
) -> Outcome {
    let message = message_ref(ctx, case, case_id, planned);
    let outcome = Outcome::of_message(tipo, &message);
    if ctx.is_message(&planned.rule) { outcome } else { of_timer(outcome, &planned.rule) }
}

/// With the keyed hash of the recipient.
fn addressed(outcome: Outcome, case: &Case, planned: &Planned, hash: &RecipientHash) -> Outcome {
    match recipient_of(case, planned) {
        Some(code) => outcome.with("destinatario", hash.of(code)),
        None => outcome,
    }
}

/// Office timers carry `data.timer` in place of `data.messaggio` (contract.md 10.14).
fn of_timer(mut outcome: Outcome, timer: &str) -> Outcome {
    outcome.data.shift_remove("messaggio");
    outcome.with("timer", timer)
}

fn recipient_of<'a>(case: &'a Case, planned: &Planned) -> Option<&'a crate::domain::FiscalCode> {
    let facts = case.things.get(&planned.thing)?.values().flatten();
    let mut newest: Option<&Fact> = None;
    for fact in facts {
        if fact.stamp.id == planned.event {
            return fact.recipient.as_ref();
        }
        if newest.is_none_or(|n| fact.stamp > n.stamp) {
            newest = Some(fact);
        }
    }
    newest?.recipient.as_ref()
}

/// The trace context of the event that led to a planned message, as long as the case has its fact.
fn trace_of(case: &Case, planned: &Planned) -> Option<TraceContext> {
    let facts = case.things.get(&planned.thing)?.values().flatten();
    facts.filter(|fact| fact.stamp.id == planned.event).find_map(|fact| fact.trace)
}

/// Names a planned message for the queues and the outcomes.
#[must_use]
pub fn message_ref(ctx: &Context<'_>, case: &Case, case_id: &[u8; 12], planned: &Planned) -> MessageRef {
    reference(&ctx.ente.id, case, case_id, planned)
}

fn reference(ente: &str, case: &Case, case_id: &[u8; 12], planned: &Planned) -> MessageRef {
    MessageRef {
        ente: ente.to_owned(),
        servizio: case.servizio.clone(),
        pratica: case.pratica.clone(),
        messaggio: planned.rule.clone(),
        chiave: message_key(ente, case, case_id, planned),
        evento: planned.event.clone(),
        caso: hex(case_id),
        slot: planned.slot,
        attempt: 0,
        traceparent: trace_of(case, planned),
    }
}

/// The outcome of an office timer that fired (`ufficio.scadenza-maturata`).
#[must_use]
pub fn office(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    hash: &RecipientHash,
) -> Outcome {
    addressed(about(ctx, case, case_id, planned, "ufficio.scadenza-maturata"), case, planned, hash)
        .with("scadenza", local(ctx, planned.due_ms))
}

/// The outcome of a planned message that was discarded as it fell due.
#[must_use]
pub fn not_sent(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    reason: (Motivo, &RecipientHash),
) -> Outcome {
    discarded(
        addressed(about(ctx, case, case_id, planned, "messaggio.scartato"), case, planned, reason.1),
        reason.0,
    )
}

/// The outcome of a planned message that was given up, with a code and the keyed hash (`messaggio.fallito`).
#[must_use]
pub fn given_up(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    code: (&str, &RecipientHash),
) -> Outcome {
    let outcome = about(ctx, case, case_id, planned, "messaggio.fallito");
    addressed(outcome, case, planned, code.1).with("codice", code.0)
}

/// The outcome of a planned message or office timer whose service is not in the catalogue any more: given up,
/// with a code and the keyed hash (`messaggio.fallito`).
#[must_use]
pub fn given_up_unserved(
    ente: &str,
    (case, case_id, planned): (&Case, &[u8; 12], &Planned),
    code: (&str, &RecipientHash),
) -> Outcome {
    let outcome = Outcome::of_message("messaggio.fallito", &reference(ente, case, case_id, planned));
    addressed(outcome, case, planned, code.1).with("codice", code.0)
}

/// The outcome of a planned message of which nobody knows whether it was sent (`messaggio.in-dubbio`),
/// without policy and number.
#[must_use]
pub fn in_doubt(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    hash: &RecipientHash,
) -> Outcome {
    addressed(about(ctx, case, case_id, planned, "messaggio.in-dubbio"), case, planned, hash)
}

/// The outcome of a planned message that policy `assume_sent` takes as sent, where the level is not known
/// (`messaggio.inviato` with `presunto`). Its identity is not that of a sending that is known: if IO's answer
/// comes after all, that one is news.
#[must_use]
pub fn assumed(
    ctx: &Context<'_>,
    case: &Case,
    case_id: &[u8; 12],
    planned: &Planned,
    hash: &RecipientHash,
) -> Outcome {
    let nothing = || serde_json::Value::Null;
    addressed(about(ctx, case, case_id, planned, "messaggio.inviato"), case, planned, hash)
        .with("io_id", nothing())
        .with("livello", nothing())
        .with("inviato_il", local(ctx, ctx.now_ms()))
        .with("testo", nothing())
        .with("presunto", true)
        .telling("presunto")
}
