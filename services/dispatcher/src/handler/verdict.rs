//! What the caller does with the delivery, and the outcomes that must be confirmed before.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use shared::domain::FiscalCode;
use shared::store::ledger::Settlement;
use shared::wire::{DispatchRequest, Level, MessageRef, Outcome, RecipientHash};
use tokio::time::Instant;

use super::ledger::Stage;

/// `codice` of a message whose attempts are spent.
pub(super) const ATTEMPTS: &str = "attempts";

/// The end of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Done: acknowledge it.
    Ack,
    /// Not done, and not to be done here now: give it back to the queue.
    GiveBack,
    /// Copy it to `promemoria.dead`, then acknowledge it.
    Dead {
        /// `x-promemoria-code`.
        code: &'static str,
        /// `x-promemoria-reason`.
        reason: Cow<'static, str>,
    },
}

/// What to do: publish the outcomes, then end the delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// To be confirmed by the broker before the end.
    pub outcomes: Vec<Outcome>,
    /// What they tell, if it is to be recorded once more where they are confirmed late.
    pub recorded: Option<Recorded>,
    /// The end.
    pub end: End,
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        Self { outcomes: Vec::new(), recorded: None, end }
    }
}

/// What the ledger holds of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub(super) message: MessageRef,
    pub(super) settlement: Settlement,
    /// Where the try was that recorded it.
    pub(super) stage: Stage,
    /// When that began.
    pub(super) at: Instant,
}

impl Recorded {
    /// When it began to be recorded.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }
}

/// The message that an outcome tells of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) message: &'a MessageRef,
    pub(super) person: &'a FiscalCode,
    /// The message itself, where this is about sending it.
    pub(super) sending: Option<&'a DispatchRequest>,
}

/// Name of the outcome, for the metric.
pub(super) fn name(settlement: &Settlement) -> Option<&'static str> {
    tipo(settlement)?.strip_prefix("messaggio.")
}

fn tipo(settlement: &Settlement) -> Option<&'static str> {
    match settlement {
        Settlement::Sent { .. } | Settlement::Assumed { .. } => Some("messaggio.inviato"),
        Settlement::Discarded { .. } => Some("messaggio.scartato"),
        Settlement::Failed { .. } => Some("messaggio.fallito"),
        Settlement::InDoubt { .. } => Some("messaggio.in-dubbio"),
        Settlement::Delivered { .. } => Some("messaggio.consegnato"),
        Settlement::Rejected { .. } => Some("messaggio.rifiutato"),
        Settlement::Retry { .. }
        | Settlement::PremiumRefused
        | Settlement::FollowLater { .. }
        | Settlement::FollowEnded => None,
    }
}

/// The verdict on a message that came to this.
pub(super) fn of(subject: Subject<'_>, recorded: Recorded, hash: &RecipientHash) -> Verdict {
    let end = match &recorded.settlement {
        Settlement::Failed { codice } if codice == ATTEMPTS => {
            End::Dead { code: ATTEMPTS, reason: Cow::Borrowed("every attempt failed") }
        }
        _ => End::Ack,
    };
    let outcomes: Vec<Outcome> = outcome(subject, &recorded.settlement, hash).into_iter().collect();
    // A rebuild takes what may have left for in doubt without being told.
    let is_end = !outcomes.is_empty() && !matches!(recorded.settlement, Settlement::InDoubt { .. });
    Verdict { outcomes, recorded: is_end.then_some(recorded), end }
}

/// The verdict on a message that IO made after another emission of it had begun: a telling of its own beside
/// that of the other, named by its `io_id`.
pub(super) fn superseded(subject: Subject<'_>, settlement: &Settlement, hash: &RecipientHash) -> Verdict {
    let outcomes = outcome(subject, settlement, hash).map(|outcome| {
        let io_id = outcome.data.get("io_id").and_then(|id| id.as_str()).unwrap_or("-").to_owned();
        outcome.telling(&io_id)
    });
    Verdict { outcomes: outcomes.into_iter().collect(), recorded: None, end: End::Ack }
}

/// The outcome of contract.md section 5, if it has one.
fn outcome(subject: Subject<'_>, settlement: &Settlement, hash: &RecipientHash) -> Option<Outcome> {
    let outcome =
        Outcome::of_message(tipo(settlement)?, subject.message).with("destinatario", hash.of(subject.person));
    Some(match settlement {
        Settlement::Sent { io_id, level, inviato_ms, .. } => outcome
            .with("io_id", io_id.clone())
            .with("livello", level.as_str())
            .with("inviato_il", instant(*inviato_ms))
            .with("testo", subject.sending.map(|request| request.testo.as_str())),
        // Another identity than a sending that is known: if the answer comes after all, that one is news.
        Settlement::Assumed { level, inviato_ms, .. } => outcome
            .with("io_id", None::<String>)
            .with("livello", level.map(Level::as_str))
            .with("inviato_il", instant(*inviato_ms))
            .with("testo", subject.sending.map(|request| request.testo.as_str()))
            .with("presunto", true)
            .telling("presunto"),
        Settlement::Discarded { motivo } => outcome.with("motivo", motivo.as_ref()),
        Settlement::Failed { codice } => outcome.with("codice", codice.as_ref()),
        Settlement::InDoubt { politica, tentativo, .. } => outcome
            .with("politica", politica.as_str())
            .with("tentativo", *tentativo)
            .telling(&tentativo.to_string()),
        Settlement::Delivered { io_id } => outcome.with("io_id", io_id.as_str()),
        Settlement::Rejected { io_id, stato } => {
            outcome.with("io_id", io_id.as_str()).with("stato", stato.as_ref())
        }
        Settlement::Retry { .. }
        | Settlement::PremiumRefused
        | Settlement::FollowLater { .. }
        | Settlement::FollowEnded => return None,
    })
}

/// RFC 3339 in UTC. Milliseconds out of range give nothing: the ledger's own numbers never are.
fn instant(ms: i64) -> Option<String> {
    Some(DateTime::from_timestamp_millis(ms)?.to_rfc3339_opts(SecondsFormat::Millis, true))
}
