//! The case events that floor and fleet are given: valid for the fleet, each its own case and person.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use shared::domain::FiscalCode;

/// Which event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// `domanda.protocollata`: one message (#12), at once.
    Immediate,
    /// `permesso.registrato` with an expiry two years ahead: nothing at once, the ente's reminders and
    /// office timer later.
    Timers,
}

/// A case event, as both sides read and write it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Event {
    specversion: String,
    /// Idempotency key.
    pub(super) id: String,
    source: String,
    #[serde(rename = "type")]
    pub(super) tipo: String,
    /// Case.
    pub(super) subject: String,
    time: String,
    pub(super) ente: String,
    servizio: String,
    pub(super) data: Facts,
}

/// The facts of the event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) codice_fiscale: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bando: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) numero_protocollo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url_domanda: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tipo_permesso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_scadenza: Option<String>,
}

/// What a protocol number starts with; seven digits of the event's number follow.
const PROTOCOL: &str = "BENCH/";

impl Event {
    /// The event with this number, which happened at `now`.
    pub(super) fn new(kind: Kind, ente: &str, number: u64, now: DateTime<Utc>) -> Self {
        let (tipo, servizio) = match kind {
            Kind::Immediate => ("domanda.protocollata", "alloggi-sociali"),
            Kind::Timers => ("permesso.registrato", "permesso-soggiorno"),
        };
        Self {
            specversion: "1.0".to_owned(),
            // As long as the UUID that most publishers send: it is stored with each case.
            id: format!("9b2f61d0-47ce-4a35-8e1c-{number:012}"),
            source: "urn:promemoria:bench".to_owned(),
            tipo: tipo.to_owned(),
            subject: format!("C{number:07}"),
            time: now.to_rfc3339_opts(SecondsFormat::Secs, true),
            ente: ente.to_owned(),
            servizio: servizio.to_owned(),
            data: Facts::new(kind, number, now),
        }
    }

    /// `<ente>.<tipo>`.
    pub(super) fn routing_key(&self) -> String {
        format!("{}.{}", self.ente, self.tipo)
    }
}

impl Facts {
    fn new(kind: Kind, number: u64, now: DateTime<Utc>) -> Self {
        let immediate = kind == Kind::Immediate;
        let only = |holds: bool, text: String| holds.then_some(text);
        Self {
            codice_fiscale: fiscal_code(number),
            bando: only(immediate, "B27".to_owned()),
            numero_protocollo: only(immediate, format!("{PROTOCOL}{number:07}")),
            url_domanda: only(immediate, format!("https://casa.example.it/domande/{number:07}")),
            tipo_permesso: only(!immediate, "O".to_owned()),
            // Far enough for every reminder to lie ahead.
            data_scadenza: only(!immediate, format!("{}-06-30", now.year() + 2)),
        }
    }
}

/// The number of the event whose message this text is.
pub(super) fn number_in(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(PROTOCOL)?;
    rest.get(..7)?.parse().ok()
}

/// The fiscal code of a person made up for this number: valid, and different for each.
pub(crate) fn fiscal_code(number: u64) -> String {
    const LETTERS: [char; 26] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T',
        'U', 'V', 'W', 'X', 'Y', 'Z',
    ];
    let letters = LETTERS.len() as u64;
    let mut name = String::with_capacity(16);
    let mut rest = number;
    for _ in 0..6 {
        name.push(usize::try_from(rest % letters).map_or('A', |place| LETTERS[place]));
        rest /= letters;
    }
    name.push_str("80A01H501");
    // The check letter is the one that the parser takes.
    let codes = LETTERS.iter().map(|check| format!("{name}{check}"));
    codes.into_iter().find(|code| FiscalCode::parse(code).is_ok()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_valid_fiscal_code_of_its_own() {
        let codes: std::collections::HashSet<String> = (0..2_000).map(fiscal_code).collect();
        assert_eq!(codes.len(), 2_000);
        assert!(codes.iter().all(|code| FiscalCode::parse(code).is_ok()));
    }

    #[test]
    fn a_message_tells_the_number_of_its_event() {
        let event = Event::new(Kind::Immediate, "e", 42, DateTime::UNIX_EPOCH);
        let text = format!("Il numero di protocollo è: {}\n", event.data.numero_protocollo.unwrap());
        assert_eq!(number_in(&text), Some(42));
    }
}
