//! What a line of the journal says.

use chrono::DateTime;
use serde::Deserialize;

use super::record::{Intent, Record, Strand};
use crate::domain::catalogue::InDubbio;
use crate::wire::Level;

/// A line and its instant.
#[derive(Debug, Clone)]
pub struct Line {
    /// When: an event's planning, an intent, an outcome's telling. Unix milliseconds.
    pub at_ms: i64,
    /// As it was published.
    pub record: Record,
    /// What it says.
    pub entry: Entry,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An event was taken: the body is the event.
    Taken,
    /// A request was about to leave, or came to nothing.
    Intent(Intent),
    /// Something became of a message.
    Told(Told),
    /// Nothing that a replay does not find out by itself.
    Nothing,
}

/// What became of a message or office timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When it was told, Unix milliseconds.
    pub at_ms: i64,
    /// Service.
    pub servizio: String,
    /// Case.
    pub pratica: String,
    /// Message type or office timer.
    pub rule: String,
    /// Message key.
    pub chiave: String,
    /// Keyed hash of the recipient: names the share of a list event.
    pub destinatario: Option<String>,
    /// What.
    pub what: Became,
}

/// What can become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It waits for its instant. A replay finds that out by itself.
    Planned {
        /// Its instant, RFC 3339.
        scadenza: String,
        /// It waited for another one before.
        moved: bool,
    },
    /// IO made it.
    Sent {
        /// Level at which it went.
        level: Level,
        /// IO's id, unless the answer was broken.
        io_id: Option<String>,
    },
    /// Nobody knows, and it is taken for sent.
    Assumed {
        /// Level at which it would have gone.
        level: Level,
    },
    /// Status PROCESSED.
    Delivered(String),
    /// Status REJECTED or FAILED.
    Rejected(String),
    /// Deliberately not sent; the reason.
    Discarded(String),
    /// Given up; the code.
    Failed(String),
    /// Nobody knows whether it was sent.
    Doubtful {
        /// What is to become of it.
        politica: InDubbio,
        /// Which doubt.
        tentativo: u32,
    },
    /// The office timer fired.
    Matured,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    tipo: String,
    subject: String,
    time: String,
    servizio: Option<String>,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    messaggio: Option<String>,
    timer: Option<String>,
    chiave: Option<String>,
    destinatario: Option<String>,
    io_id: Option<String>,
    livello: Option<Level>,
    presunto: bool,
    motivo: Option<String>,
    codice: Option<String>,
    politica: Option<String>,
    tentativo: Option<u32>,
    scadenza: Option<String>,
    azione: Option<String>,
}

impl Line {
    /// Reads a record; none if it is none of ours.
    #[must_use]
    pub fn parse(record: Record) -> Option<Self> {
        let (at_ms, entry) = match record.strand {
            Strand::Events => (record.taken_ms?, Entry::Taken),
            Strand::Intents => {
                let intent: Intent = serde_json::from_str(&record.body).ok()?;
                (intent.at_ms, Entry::Intent(intent))
            }
            Strand::Outcomes => {
                let body: Body = serde_json::from_str(&record.body).ok()?;
                let at_ms = DateTime::parse_from_rfc3339(&body.time).ok()?.timestamp_millis();
                (at_ms, told(body, at_ms).map_or(Entry::Nothing, Entry::Told))
            }
        };
        Some(Self { at_ms, record, entry })
    }
}

fn told(body: Body, at_ms: i64) -> Option<Told> {
    let data = body.data;
    let what = match body.tipo.as_str() {
        "messaggio.programmato" => {
            Became::Planned { scadenza: data.scadenza?, moved: data.azione.as_deref() == Some("spostato") }
        }
        "messaggio.inviato" if data.presunto => Became::Assumed { level: data.livello.unwrap_or_default() },
        "messaggio.inviato" => Became::Sent { level: data.livello.unwrap_or_default(), io_id: data.io_id },
        "messaggio.consegnato" => Became::Delivered(data.io_id.unwrap_or_default()),
        "messaggio.rifiutato" => Became::Rejected(data.io_id.unwrap_or_default()),
        "messaggio.scartato" => Became::Discarded(data.motivo?),
        "messaggio.fallito" => Became::Failed(data.codice?),
        "messaggio.in-dubbio" => Became::Doubtful {
            politica: data.politica.as_deref().and_then(InDubbio::parse).unwrap_or_default(),
            tentativo: data.tentativo.unwrap_or(1),
        },
        "ufficio.scadenza-maturata" => Became::Matured,
        _ => return None,
    };
    Some(Told {
        at_ms,
        servizio: body.servizio?,
        pratica: body.subject,
        rule: data.messaggio.or(data.timer)?,
        chiave: data.chiave?,
        destinatario: data.destinatario,
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(tipo: &str, data: &serde_json::Value) -> Record {
        let body = json!({
            "type": tipo, "subject": "P-1", "time": "2026-11-20T09:00:00.500Z", "servizio": "alloggi-sociali",
            "ente": "borgochiaro", "data": data,
        });
        let key = format!("borgochiaro.{tipo}");
        Record { strand: Strand::Outcomes, key, taken_ms: None, traceparent: None, body: body.to_string() }
    }

    #[test]
    fn an_outcome_says_what_became_of_which_message() {
        let data = json!({ "messaggio": "m", "chiave": "k", "io_id": "01A", "livello": "ADVANCED" });
        let line = Line::parse(outcome("messaggio.inviato", &data)).unwrap();
        assert_eq!(line.at_ms, 1_795_165_200_500);
        let Entry::Told(told) = line.entry else { panic!("{:?}", line.entry) };
        assert_eq!((told.rule.as_str(), told.chiave.as_str(), told.pratica.as_str()), ("m", "k", "P-1"));
        assert_eq!(told.what, Became::Sent { level: Level::Advanced, io_id: Some("01A".to_owned()) });
    }

    #[test]
    fn an_announcement_says_when_and_a_refused_event_is_nothing() {
        let data = json!({
            "chiave": "k", "timer": "t", "scadenza": "2027-01-18T09:00:00+01:00", "azione": "spostato",
        });
        let line = Line::parse(outcome("messaggio.programmato", &data)).unwrap();
        let Entry::Told(told) = line.entry else { panic!("{:?}", line.entry) };
        let scadenza = "2027-01-18T09:00:00+01:00".to_owned();
        assert_eq!((told.rule.as_str(), told.what), ("t", Became::Planned { scadenza, moved: true }));
        let line = Line::parse(outcome("evento.rifiutato", &json!({ "codice": "schema" }))).unwrap();
        assert_eq!(line.entry, Entry::Nothing);
    }

    #[test]
    fn an_event_without_its_instant_is_no_line() {
        let record = |taken_ms| Record {
            strand: Strand::Events,
            key: "borgochiaro.permesso.rinnovato".to_owned(),
            taken_ms,
            traceparent: None,
            body: "{}".to_owned(),
        };
        assert!(Line::parse(record(None)).is_none());
        assert_eq!(Line::parse(record(Some(7))).unwrap().at_ms, 7);
    }
}
