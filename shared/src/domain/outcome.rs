//! What the fleet tells an ente, as data: the outcome types and the fields of each (contract.md section 5).
//!
//! `docs/events.md`, the JSON Schemas of `docs/schemas/outcomes` and `docs/asyncapi.yaml` are made of this
//! table, and what the services really tell is held against the schemas by their tests.

use serde_json::{Map, Value, json};

use super::case::Motivo;
use super::event::RefusalCode;

/// The schemas' dialect. They use nothing that draft 07 does not have too, which AsyncAPI 3 asks for.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// 32 hex digits: ids and message keys.
const KEY: &str = "^[0-9a-f]{32}$";
/// 64 hex digits: an HMAC-SHA-256.
const MAC: &str = "^[0-9a-f]{64}$";
/// A `traceparent` of version 00.
const TRACE: &str = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$";
/// A word of the catalogue or a code: lower case, with hyphens.
const WORD: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";

/// One outcome type.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeType {
    /// `type`, and the rest of the routing key after the ente.
    pub tipo: &'static str,
    /// When it is told.
    pub quando: &'static str,
    /// What it speaks of.
    pub di: About,
    /// The fields of `data` beyond those that say what it speaks of.
    pub campi: &'static [OutcomeField],
}

/// What an outcome speaks of: it decides which fields `data` has in every outcome of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A message: `messaggio`, `chiave`, `evento`, `destinatario`.
    Message,
    /// A message or an office timer: `messaggio` or `timer`, and the same.
    MessageOrTimer,
    /// An office timer: `timer`, and the same.
    Timer,
    /// An event that was refused: nothing but the fields of the type.
    Event,
}

/// One field of `data`, always there but for a [`Form::Mark`].
#[derive(Debug, Clone, Copy)]
pub struct OutcomeField {
    /// Name.
    pub nome: &'static str,
    /// Form.
    pub forma: Form,
    /// Meaning.
    pub descrizione: &'static str,
}

/// The form of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 3339 instant with offset.
    Instant,
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// One of the reasons why a message is not sent, [`Motivo`].
    Reason,
    /// One of the codes of a refusal, [`RefusalCode`].
    Refusal,
    /// A code; new ones may come.
    Code,
    /// One of a few words, or null where it is not known.
    KnownOneOf(&'static [&'static str]),
    /// 16 hex digits, or null where they are not known.
    Version,
    /// `true`, or not there.
    Mark,
    /// Text.
    Text,
    /// Text, or null where IO's answer did not say it.
    KnownText,
    /// A number from 1.
    Count,
}

const fn field(nome: &'static str, forma: Form, descrizione: &'static str) -> OutcomeField {
    OutcomeField { nome, forma, descrizione }
}

const IO_ID: OutcomeField = field("io_id", Form::Text, "IO's id of the message");

/// All of them, in the order of the contract.
pub const OUTCOME_TYPES: [OutcomeType; 9] = [
    OutcomeType {
        tipo: "messaggio.programmato",
        quando: "a message or office timer was armed or moved",
        di: About::MessageOrTimer,
        campi: &[
            field("scadenza", Form::Instant, "When it is due"),
            field("azione", Form::OneOf(&["armato", "spostato"]), "Armed, or moved to another instant"),
        ],
    },
    OutcomeType {
        tipo: "messaggio.inviato",
        quando: "IO took the message",
        di: About::Message,
        campi: &[
            field("io_id", Form::KnownText, "IO's id of the message"),
            field("livello", Form::KnownOneOf(&["STANDARD", "ADVANCED"]), "Level at which it went"),
            field("inviato_il", Form::Instant, "When IO took it"),
            field("testo", Form::Version, "Hash of the text version"),
            field(
                "presunto",
                Form::Mark,
                "Nobody knows whether it was sent: policy `assume_sent` takes it so",
            ),
        ],
    },
    OutcomeType {
        tipo: "messaggio.consegnato",
        quando: "IO processed it",
        di: About::Message,
        campi: &[IO_ID],
    },
    OutcomeType {
        tipo: "messaggio.rifiutato",
        quando: "IO rejected it after taking it",
        di: About::Message,
        campi: &[IO_ID, field("stato", Form::OneOf(&["REJECTED", "FAILED"]), "IO's word")],
    },
    OutcomeType {
        tipo: "messaggio.scartato",
        quando: "deliberately not sent",
        di: About::MessageOrTimer,
        campi: &[field("motivo", Form::Reason, "Why")],
    },
    OutcomeType {
        tipo: "messaggio.fallito",
        quando: "given up: permanent refusal, attempts exhausted, rendering error",
        di: About::Message,
        campi: &[field("codice", Form::Code, "Why; new codes may come")],
    },
    OutcomeType {
        tipo: "messaggio.in-dubbio",
        quando: "the request left and no answer came",
        di: About::Message,
        campi: &[
            field(
                "politica",
                Form::OneOf(&["hold", "resend", "expire"]),
                "It waits for an operator, is sent once more, or waits until its use ends",
            ),
            field("tentativo", Form::Count, "Number of the doubt of this message"),
        ],
    },
    OutcomeType {
        tipo: "ufficio.scadenza-maturata",
        quando: "an office timer fired",
        di: About::Timer,
        campi: &[field("scadenza", Form::Instant, "When it was due")],
    },
    OutcomeType {
        tipo: "evento.rifiutato",
        quando: "an event was refused",
        di: About::Event,
        campi: &[
            field("codice", Form::Refusal, "Why, as a code"),
            field("motivo", Form::Text, "Which field and why, never its value"),
            field("evento", Form::Text, "Id of the event; - where it could not be read"),
        ],
    },
];

/// The outcome type of that name.
#[must_use]
pub fn outcome_type(tipo: &str) -> Option<&'static OutcomeType> {
    OUTCOME_TYPES.iter().find(|it| it.tipo == tipo)
}

/// The JSON Schema of an outcome type, envelope included.
///
/// Fields may be added later: a reader ignores what it does not know, and so does the schema.
#[must_use]
pub fn outcome_schema(outcome: &OutcomeType) -> Value {
    let event = outcome.di == About::Event;
    let mut required = vec!["specversion", "id", "source", "type", "subject", "time", "ente"];
    let mut properties = envelope(outcome);
    if !event {
        required.push("servizio");
        properties.insert("servizio".to_owned(), text(WORD, "The service"));
    }
    required.extend(["datacontenttype", "data"]);
    properties.insert("datacontenttype".to_owned(), json!({ "const": "application/json" }));
    properties
        .insert("traceparent".to_owned(), text(TRACE, "W3C trace context of the event, where it had one"));
    properties.insert("data".to_owned(), data(outcome));
    json!({
        "$schema": DIALECT,
        "$id": format!("urn:promemoria:esito:{}:v1", outcome.tipo),
        "title": outcome.tipo,
        "description": sentence(outcome.quando),
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn envelope(outcome: &OutcomeType) -> Map<String, Value> {
    let subject = if outcome.di == About::Event { "The case (pratica), or -" } else { "The case (pratica)" };
    let members = [
        ("specversion", json!({ "const": "1.0" })),
        ("id", text(KEY, "The same outcome told again has the same id")),
        ("source", json!({ "const": "urn:promemoria" })),
        ("type", json!({ "const": outcome.tipo })),
        ("subject", json!({ "description": subject, "type": "string", "minLength": 1 })),
        ("time", instant("When it was told")),
        ("ente", text("^[a-z0-9](-?[a-z0-9]){0,38}$", "The ente's id")),
    ];
    members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The schema of `data`.
fn data(outcome: &OutcomeType) -> Value {
    let mut members: Vec<(&str, Value)> = Vec::new();
    if matches!(outcome.di, About::Message | About::MessageOrTimer) {
        members.push(("messaggio", text(WORD, "Message type")));
    }
    if matches!(outcome.di, About::Timer | About::MessageOrTimer) {
        members.push(("timer", text(WORD, "Office timer")));
    }
    if outcome.di != About::Event {
        members.extend([
            ("chiave", text(KEY, "Key of the message or timer: stable, derived")),
            ("evento", json!({ "description": "Id of the event that caused it", "type": "string" })),
            ("destinatario", text(MAC, "Keyed hash of the recipient: HMAC-SHA-256 over the upper-case code")),
        ]);
    }
    members.extend(outcome.campi.iter().map(|field| (field.nome, value(field))));
    let either = outcome.di == About::MessageOrTimer;
    let marks = |name: &str| outcome.campi.iter().any(|it| it.nome == name && it.forma == Form::Mark);
    let optional = |name: &str| marks(name) || (either && (name == "messaggio" || name == "timer"));
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).filter(|name| !optional(name)).collect();
    let properties: Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let mut schema = json!({ "type": "object", "required": required, "properties": properties });
    if either {
        schema["oneOf"] = json!([{ "required": ["messaggio"] }, { "required": ["timer"] }]);
    }
    schema
}

fn value(field: &OutcomeField) -> Value {
    let reasons = || Motivo::ALL.map(Motivo::as_str);
    let codes = || RefusalCode::ALL.map(RefusalCode::as_str);
    let what = field.descrizione;
    match field.forma {
        Form::Instant => instant(what),
        Form::OneOf(words) => json!({ "description": what, "enum": words }),
        Form::Reason => json!({ "description": what, "enum": reasons() }),
        Form::Refusal => json!({ "description": what, "enum": codes() }),
        Form::Code => text(WORD, what),
        Form::KnownOneOf(words) => {
            let words = words.iter().map(|word| json!(word)).chain([Value::Null]);
            json!({ "description": what, "enum": words.collect::<Vec<_>>() })
        }
        Form::Version => json!({
            "description": what,
            "type": ["string", "null"],
            "pattern": "^[0-9a-f]{16}$",
        }),
        Form::Mark => json!({ "description": what, "const": true }),
        Form::Text => json!({ "description": what, "type": "string", "minLength": 1 }),
        Form::KnownText => json!({
            "description": format!("{what}; null where its answer did not say it"),
            "type": ["string", "null"],
            "minLength": 1,
        }),
        Form::Count => json!({ "description": what, "type": "integer", "minimum": 1 }),
    }
}

fn text(pattern: &str, what: &str) -> Value {
    json!({ "description": what, "type": "string", "pattern": pattern })
}

fn instant(what: &str) -> Value {
    json!({ "description": what, "type": "string", "format": "date-time" })
}

/// The words with a capital at the start and a full stop at the end.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The row of the outcome in the page of events: its fields, as the page shows them.
pub(super) fn fields_shown(outcome: &OutcomeType) -> String {
    let shown = |field: &OutcomeField| match field.forma {
        Form::OneOf(words) | Form::KnownOneOf(words) => format!("`{}` ({})", field.nome, quoted(words)),
        Form::Mark => format!("`{}` ({})", field.nome, field.descrizione),
        Form::Reason => format!("`{}`: {}", field.nome, quoted(&Motivo::ALL.map(Motivo::as_str))),
        Form::Version => format!("`{}` (hash of the text version)", field.nome),
        _ => format!("`{}`", field.nome),
    };
    outcome.campi.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
