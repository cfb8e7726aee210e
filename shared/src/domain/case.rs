//! One case: the facts known of it and what is planned on them.
//!
//! A case is a value: the planner turns one into the next. Facts keep the newest event of each type and
//! thing, whatever order they come in, so that the same events always give the same facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fields, FiscalCode, TraceContext};

/// The order of facts: when it happened, then the publisher's sequence, then the event's id
/// (contract.md 10.8). A fact without a sequence comes before one with: a total order is needed, so that
/// facts that come in another order end the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// CloudEvents `time`, Unix milliseconds.
    pub time_ms: i64,
    /// CloudEvents `sequence`.
    pub sequence: Option<u64>,
    /// CloudEvents `id`.
    pub id: String,
}

/// What one event said of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its place in the order of facts.
    pub stamp: Stamp,
    /// Who gets the messages that it leads to.
    pub recipient: Option<FiscalCode>,
    /// Checked fields, without the derived ones.
    pub fields: Fields,
    /// A bulk load of old cases (rules.md 1.11).
    pub importazione: bool,
    /// When it was taken, Unix milliseconds.
    pub taken_ms: i64,
    /// The event's trace context. The last of the record, so that a fact without one takes no byte for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// The facts of one thing by event type. A type that changes single fields keeps several, oldest first;
/// every other type keeps the newest.
pub type Thing = BTreeMap<String, Vec<Fact>>;

/// Facts by thing: the key is `cosa`, or `cosa` and its identity, as [`thing_key`] makes it.
pub type Things = BTreeMap<String, Thing>;

/// The key of a thing within its case: `avviso:302001234567890123`.
#[must_use]
pub fn thing_key(cosa: &str, identity: &[String], fields: &Fields) -> String {
    let mut key = cosa.to_owned();
    for name in identity {
        key.push(':');
        key.push_str(fields.get(name).and_then(super::Field::text).unwrap_or(""));
    }
    key
}

/// Most changes of single fields kept apart; beyond it the two oldest are folded into one. It bounds a
/// case that is revised a thousand times.
const CHANGES_KEPT: usize = 16;

/// Adds a fact. Returns whether it was news: newer than what its type had, or a change kept.
pub fn record(things: &mut Things, key: &str, tipo: &str, change: bool, fact: Fact) -> bool {
    let facts = things.entry(key.to_owned()).or_default().entry(tipo.to_owned()).or_default();
    if !change {
        if facts.first().is_some_and(|known| known.stamp >= fact.stamp) {
            return false;
        }
        *facts = vec![fact];
        return true;
    }
    match facts.binary_search_by(|known| known.stamp.cmp(&fact.stamp)) {
        Ok(_) => return false,
        Err(place) => facts.insert(place, fact),
    }
    if facts.len() > CHANGES_KEPT {
        let oldest = facts.remove(0);
        let mut fields = oldest.fields;
        fields.append(&mut facts[0].fields);
        facts[0].fields = fields;
    }
    true
}

/// Adds every fact of `other`, as [`record`] does.
pub fn merge(things: &mut Things, other: &Things, is_change: impl Fn(&str) -> bool) {
    for (key, thing) in other {
        for (tipo, facts) in thing {
            for fact in facts {
                record(things, key, tipo, is_change(tipo), fact.clone());
            }
        }
    }
}

/// A case as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Case {
    /// Service.
    pub servizio: String,
    /// CloudEvents `subject`.
    pub pratica: String,
    /// One recipient's share of a list event; its messages are led to by list events only.
    pub share: bool,
    /// Facts.
    pub things: Things,
    /// Messages and office timers planned, in the order of their slots.
    pub planned: Vec<Planned>,
    /// Next free slot.
    pub next_slot: u16,
    /// Keys of the events applied, for the store's memory of them.
    #[serde(with = "keys")]
    pub events: Vec<EventKey>,
    /// Keyed hashes of the persons concerned.
    #[serde(with = "keys")]
    pub persons: Vec<PersonKey>,
}

/// First 12 bytes of SHA-256 over source and id.
pub type EventKey = [u8; 12];

/// First 8 bytes of the keyed hash of a fiscal code.
pub type PersonKey = [u8; 8];

/// Keys of a fixed length as one run of bytes: `MessagePack` takes two bytes for most numbers of an array, and
/// a million armed timers have a key of an event and of a person each.
mod keys {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<const N: usize, S: Serializer>(
        keys: &[[u8; N]],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(keys.as_flattened())
    }

    struct Run<const N: usize>;

    impl<const N: usize> Visitor<'_> for Run<N> {
        type Value = Vec<[u8; N]>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "keys of {N} bytes, one after the other")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            match bytes.as_chunks::<N>() {
                (keys, []) => Ok(keys.to_vec()),
                _ => Err(E::invalid_length(bytes.len(), &self)),
            }
        }
    }

    pub(super) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<[u8; N]>, D::Error> {
        deserializer.deserialize_bytes(Run::<N>)
    }
}

/// One message or office timer of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its place, never used again within the case.
    pub slot: u16,
    /// Message type or office timer.
    pub rule: String,
    /// The thing it hangs on.
    pub thing: String,
    /// Days from the term at which it fires; [`CATCH_UP`] for the one that makes up for missed ones.
    pub firing: i16,
    /// What it was reckoned from: when this changes after the message went, it is a new message.
    pub anchor: String,
    /// How many with the same rule, thing and firing came before it.
    pub cycle: u16,
    /// Due instant, Unix milliseconds.
    pub due_ms: i64,
    /// Instant from which it is of no use, Unix milliseconds.
    pub useful_until_ms: Option<i64>,
    /// While this is ahead, falling due means being skipped. Unix milliseconds.
    pub held_until_ms: Option<i64>,
    /// Id of the event that led to it.
    pub event: String,
    /// Id of the event that last changed it; none if nothing did since the one that led to it.
    pub changed_by: Option<String>,
    /// It waits for an instant; false for what goes when its event comes.
    pub is_timer: bool,
    /// Where it stands, as far as planning goes.
    pub standing: Standing,
}

impl Planned {
    /// Id of the event that last changed it, or else led to it.
    #[must_use]
    pub fn last_event(&self) -> &str {
        self.changed_by.as_deref().unwrap_or(&self.event)
    }

    /// Notes the event that changes it.
    pub fn changes_by(&mut self, event: &str) {
        self.changed_by = (event != self.event).then(|| event.to_owned());
    }
}

/// [`Planned::firing`] of the one message that makes up for missed reminders.
pub const CATCH_UP: i16 = i16::MAX;

/// Where a planned message stands, as far as planning goes. What happened to it since is the store's to
/// say ([`Progress`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// In the schedule, or on its way.
    Armed,
    /// Moved at least once, and in the schedule or on its way.
    Moved,
    /// Its instant was past when it was planned; made up for by another, or of no interest.
    Missed,
    /// Taken back, or never armed, with the reason.
    Discarded(Motivo),
}

impl Standing {
    /// Whether it is in the schedule or on its way.
    #[must_use]
    pub fn is_armed(self) -> bool {
        matches!(self, Self::Armed | Self::Moved)
    }
}

/// Why a message is deliberately not sent (contract.md section 5, `motivo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Motivo {
    /// Not on IO, or the service is blocked.
    DestinatarioNonRaggiungibile,
    /// The ente switched the message type off.
    TipoDisattivato,
    /// Premium makes it superfluous.
    Premium,
    /// The contract is signed with Firma con IO.
    FirmaConIo,
    /// The notice was paid before it could be sent.
    GiaPagato,
    /// Cancelled or superseded.
    Annullato,
    /// Its use is over.
    ScadenzaPassata,
    /// The same message already went.
    Duplicato,
}

impl Motivo {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Self::DestinatarioNonRaggiungibile,
        Self::TipoDisattivato,
        Self::Premium,
        Self::FirmaConIo,
        Self::GiaPagato,
        Self::Annullato,
        Self::ScadenzaPassata,
        Self::Duplicato,
    ];

    /// As outcomes spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DestinatarioNonRaggiungibile => "destinatario-non-raggiungibile",
            Self::TipoDisattivato => "tipo-disattivato",
            Self::Premium => "premium",
            Self::FirmaConIo => "firma-con-io",
            Self::GiaPagato => "gia-pagato",
            Self::Annullato => "annullato",
            Self::ScadenzaPassata => "scadenza-passata",
            Self::Duplicato => "duplicato",
        }
    }

    /// From the catalogue's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|motivo| motivo.as_str() == text)
    }
}

/// How far an armed message has come, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// In the schedule, or emitted and not yet at the point of no return: it can be taken back.
    Pending,
    /// The request may have left, or is in doubt: it can no longer be taken back.
    Leaving,
    /// Sent as STANDARD.
    SentStandard,
    /// Sent as ADVANCED.
    SentAdvanced,
    /// Over in any other way.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(trace: Option<TraceContext>) -> Fact {
        let stamp = Stamp { time_ms: 0, sequence: None, id: "e".to_owned() };
        Fact { stamp, recipient: None, fields: Fields::new(), importazione: false, taken_ms: 7, trace }
    }

    #[test]
    fn a_trace_context_costs_a_fact_27_bytes_and_its_absence_none() {
        let context = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let [without, with] = [None, context].map(|trace| rmp_serde::to_vec(&fact(trace)).unwrap());
        // An array of five, as before there was a place for it; of six with it.
        assert_eq!((without[0], with[0], with.len() - without.len()), (0x95, 0x96, 27));
        assert_eq!(rmp_serde::from_slice::<Fact>(&without).unwrap(), fact(None));
        assert_eq!(rmp_serde::from_slice::<Fact>(&with).unwrap(), fact(context));
    }
}
