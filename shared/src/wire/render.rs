//! What the scheduler asks of the renderer.

use serde::{Deserialize, Serialize};

use crate::domain::{Fields, FiscalCode, TraceContext};

/// Which message this is: enough to settle it in the store and to speak of it in logs and outcomes.
/// It holds no personal datum but the case number, which stays out of logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRef {
    /// Ente.
    pub ente: String,
    /// Service.
    pub servizio: String,
    /// Case, CloudEvents `subject`.
    pub pratica: String,
    /// Message type.
    pub messaggio: String,
    /// Message key: stable, derived (contract.md section 5).
    pub chiave: String,
    /// Id of the event that caused it.
    pub evento: String,
    /// The case's key in the store, 24 hex digits.
    pub caso: String,
    /// Place of the message among those of its case.
    pub slot: u16,
    /// Number of this emission, from 1: a settled or superseded emission is known by it.
    pub attempt: u32,
    /// Trace context of the event, as it came; the outcomes carry it on. What hangs on which hop is said by
    /// the header of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceContext>,
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderRequest {
    /// Version of this body.
    pub v: u8,
    /// Which message.
    #[serde(flatten)]
    pub message: MessageRef,
    /// The recipient.
    pub codice_fiscale: FiscalCode,
    /// The event's fields, given and derived. The ente's variables are added by the renderer, so that
    /// those in force when the message is due are used.
    pub campi: Fields,
    /// IO refuses Premium for this ente for now (contract.md 10.23): render it as STANDARD.
    #[serde(default)]
    pub solo_standard: bool,
    /// Instant for which it was planned, whatever it waited for since, Unix milliseconds.
    pub dovuto_ms: i64,
    /// Instant after which it must not be sent, Unix milliseconds.
    #[serde(default)]
    pub utile_fino_ms: Option<i64>,
    /// When its event was taken, Unix milliseconds; absent for scheduled messages.
    #[serde(default)]
    pub accolto_ms: Option<i64>,
}
