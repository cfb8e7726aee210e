//! A line of the journal, as it travels and as an archive keeps it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::broker::{Delivery, Outgoing, topology};
use crate::domain::event::CaseEvent;
use crate::domain::{TraceContext, hex};
use crate::formats::{Foreign, INTENT};
use crate::store::keys::event_key;

/// Header of an event's line: the instant at which it was planned, Unix milliseconds.
const TAKEN: &str = "x-promemoria-taken";
/// In place of an ente: the line only marks an end of the stream.
const NOBODY: &str = "-";

/// One of the three streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strand {
    /// Events that were taken.
    Events,
    /// Requests that are about to leave.
    Intents,
    /// Outcomes.
    Outcomes,
}

impl Strand {
    /// All three, in the order in which lines of one instant are read.
    pub const ALL: [Self; 3] = [Self::Events, Self::Intents, Self::Outcomes];

    /// Its stream.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Self::Events => topology::JOURNAL_EVENTS,
            Self::Intents => topology::JOURNAL_INTENTS,
            Self::Outcomes => topology::JOURNAL_OUTCOMES,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Intents => "intents",
            Self::Outcomes => "outcomes",
        }
    }

    fn routing_key(self, rest: &str) -> String {
        format!("{}.{rest}", self.word())
    }
}

/// A line as it was published. It holds what the event holds, personal data too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its stream.
    pub strand: Strand,
    /// `<ente>.<tipo>` of an event or outcome, the ente of an intent.
    pub key: String,
    /// When an event was planned, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_ms: Option<i64>,
    /// Trace context of an event, whose body need not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceContext>,
    /// The body: JSON.
    pub body: String,
}

impl std::fmt::Debug for Record {
    /// Without the body: it holds personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("strand", &self.strand).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Record {
    /// Reads a line of a stream; none if it is not UTF-8, which nothing of ours is.
    #[must_use]
    pub fn of(strand: Strand, delivery: &Delivery) -> Option<Self> {
        let key = delivery.routing_key.as_str();
        let own = key.strip_prefix(strand.word()).and_then(|rest| rest.strip_prefix('.'));
        let key = if delivery.exchange == topology::JOURNAL { own? } else { key };
        Some(Self {
            strand,
            key: key.to_owned(),
            taken_ms: delivery.header(TAKEN).and_then(|taken| taken.parse().ok()),
            traceparent: delivery.trace().filter(|_| strand == Strand::Events),
            body: std::str::from_utf8(&delivery.body).ok()?.to_owned(),
        })
    }

    /// The ente.
    #[must_use]
    pub fn ente(&self) -> &str {
        self.key.split('.').next().unwrap_or_default()
    }

    /// Whether this build reads it. Events and outcomes have versions of their own, which everybody may see.
    ///
    /// # Errors
    /// A later release wrote it: a replay that passed it over would send again what was sent.
    pub fn check(&self) -> Result<(), Foreign> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u64,
        }
        match (self.strand, serde_json::from_str(&self.body)) {
            (Strand::Intents, Ok(Versioned { v })) => INTENT.check(v),
            _ => Ok(()),
        }
    }

    /// Whether it is the end mark of this name.
    #[must_use]
    pub fn is_end(&self, name: &str) -> bool {
        self.key == NOBODY && self.body == name
    }

    /// Whether it is any end mark.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        self.key == NOBODY
    }
}

/// The line of an event that was taken: its body byte for byte.
#[must_use]
pub fn event_line(event: &CaseEvent, routing_key: &str, body: &Bytes, taken_ms: i64) -> Outgoing {
    let key = Strand::Events.routing_key(routing_key);
    let id = hex(&event_key(&event.source, &event.id));
    let mut line = Outgoing::new(topology::JOURNAL, &key, id, body.clone());
    "application/cloudevents+json".clone_into(&mut line.content_type);
    line.with_header(TAKEN, taken_ms.to_string()).with_trace(event.traceparent)
}

/// A request to IO that is about to leave, or one that did not lead to anything: what the fence wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Version of this body.
    pub v: u8,
    /// Ente.
    pub ente: String,
    /// Message key.
    pub chiave: String,
    /// Case, 24 hex digits.
    pub caso: String,
    /// Place of the message in its case.
    pub slot: u16,
    /// Number of the emission.
    pub attempt: u32,
    /// Name of the try.
    pub token: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// When the try is over, Unix milliseconds.
    pub until_ms: i64,
    /// The message went back to the schedule: nothing was created.
    #[serde(default)]
    pub released: bool,
}

/// The line of an intent.
#[must_use]
pub fn intent_line(intent: &Intent) -> Outgoing {
    let key = Strand::Intents.routing_key(&intent.ente);
    let what = if intent.released { "released" } else { "intent" };
    let id = format!("{}/{}/{what}", intent.chiave, intent.attempt);
    let intent = Intent { v: INTENT.written(), ..intent.clone() };
    // Of strings and numbers: it cannot fail.
    let body = serde_json::to_vec(&intent).unwrap_or_default();
    Outgoing::new(topology::JOURNAL, &key, id, body)
}

/// A line that marks an end of a stream.
pub(super) fn end_line(strand: Strand, name: &str) -> Outgoing {
    Outgoing::new(topology::JOURNAL, &strand.routing_key(NOBODY), name, name.to_owned())
}
