//! An example of each outcome type, built by the code that builds the real ones.

use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::outcome::{About, Form, OutcomeField, OutcomeType};
use shared::domain::{FiscalCode, TraceContext};
use shared::wire::{MessageRef, Outcome, RecipientHash};

/// When the examples are told: 18 January 2027, some seconds after the examples of the events.
const TOLD_MS: i64 = 1_800_262_803_417;
/// The recipient of the examples, the same as in the events.
const RECIPIENT: &str = "RSSMRA85T10A562S";
/// The key of their hash.
const KEY: &str = "a key for trial only";
/// The id of the event of the examples, the same as in the events.
const EVENT: &str = "5f0c2c1e-6a0b-4d57-9a51-0a4c3f8b7e21";

/// The example of a type.
pub(super) fn example_outcome(outcome: &OutcomeType) -> Value {
    let mut told = Outcome::of_message(outcome.tipo, &message());
    match outcome.di {
        About::Event => {
            told.servizio = None;
            told.data.clear();
        }
        About::Timer => {
            told.data.shift_remove("messaggio");
            told = told.with("timer", "permesso-scaduto");
        }
        About::Message | About::MessageOrTimer => {}
    }
    if outcome.di != About::Event {
        // The code is valid, a test of this module says so.
        let hash = FiscalCode::parse(RECIPIENT).map(|code| RecipientHash::new(KEY.into()).of(&code));
        told = told.with("destinatario", hash.unwrap_or_default());
    }
    for field in outcome.campi.iter().filter(|field| field.forma != Form::Mark) {
        told = told.with(field.nome, value(field));
    }
    let body = told.body(DateTime::<Utc>::from_timestamp_millis(TOLD_MS).unwrap_or_default());
    serde_json::from_slice(&body).unwrap_or_default()
}

fn message() -> MessageRef {
    MessageRef {
        ente: "borgochiaro".to_owned(),
        servizio: "permesso-soggiorno".to_owned(),
        pratica: "2026/0451".to_owned(),
        messaggio: "permesso-in-scadenza".to_owned(),
        chiave: "d070ab882fd3f36b944bc7ce8c4d92a0".to_owned(),
        evento: EVENT.to_owned(),
        caso: String::new(),
        slot: 0,
        attempt: 1,
        traceparent: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    }
}

fn value(field: &OutcomeField) -> Value {
    match (field.forma, field.nome) {
        (Form::Instant, "inviato_il") => "2027-01-18T09:00:03.102Z".into(),
        (Form::Instant, _) => "2028-10-16T09:00:00+02:00".into(),
        (Form::OneOf(words) | Form::KnownOneOf(words), _) => words.first().copied().into(),
        (Form::Reason, _) => "annullato".into(),
        (Form::Refusal, _) => "time".into(),
        (Form::Code, _) => "io-structure".into(),
        (Form::Version, _) => "9f3c1b7a5d2e4068".into(),
        (Form::Count, _) => 1.into(),
        (Form::Mark, _) => true.into(),
        (Form::Text, "evento") => EVENT.into(),
        (Form::Text, "motivo") => "data.data_scadenza: is no date `YYYY-MM-DD`".into(),
        (Form::Text | Form::KnownText, _) => "01JHW0Q4M3S9T7D5V2N8K6B1XC".into(),
    }
}
