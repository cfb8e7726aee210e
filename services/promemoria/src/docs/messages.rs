//! The messages of the AsyncAPI document: events in, outcomes out, what was given up.

use serde_json::{Map, Value, json};
use shared::broker::topology;
use shared::domain::catalogue::{Catalogue, example_event};
use shared::domain::outcome::{OUTCOME_TYPES, OutcomeType};

use super::example::example_outcome;
use super::schemas;

/// The name by which the document points to a message: some tools take no full stop there.
pub(super) fn key(name: &str) -> String {
    name.replace('.', "-")
}

/// All messages by key.
pub(super) fn messages(catalogue: &Catalogue) -> Map<String, Value> {
    let events = catalogue.tipi_evento().into_iter().map(|tipo| (key(tipo), event(catalogue, tipo)));
    let outcomes = OUTCOME_TYPES.iter().map(|outcome| (key(outcome.tipo), told(outcome)));
    let kept = [
        ("dead".to_owned(), dead()),
        (
            "unrouted".to_owned(),
            json!({ "name": "unrouted", "title": "An event that no queue took", "payload": {} }),
        ),
    ];
    events.chain(outcomes).chain(kept).collect()
}

fn event(catalogue: &Catalogue, tipo: &str) -> Value {
    let services = catalogue.servizi.iter().filter_map(|(id, service)| Some((id, service.eventi.get(tipo)?)));
    let services: Vec<_> = services.collect();
    let summary = services.first().map_or("", |(_, record)| record.descrizione.as_str());
    let examples: Vec<Value> = services
        .iter()
        .filter_map(|(id, _)| Some(json!({ "name": id, "payload": example_event(catalogue, id, tipo)? })))
        .collect();
    json!({
        "name": tipo,
        "title": tipo,
        "summary": summary,
        "payload": { "$ref": format!("./{}", schemas::event_file(tipo)) },
        "examples": examples,
    })
}

fn told(outcome: &OutcomeType) -> Value {
    json!({
        "name": outcome.tipo,
        "title": outcome.tipo,
        "summary": outcome.quando,
        "correlationId": {
            "description": "Id of the event that it answers",
            "location": "$message.payload#/data/evento",
        },
        "payload": { "$ref": format!("./{}", schemas::outcome_file(outcome.tipo)) },
        "examples": [{ "name": outcome.tipo, "payload": example_outcome(outcome) }],
    })
}

fn dead() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    json!({
        "name": "dead",
        "title": "Something that was given up",
        "headers": {
            "type": "object",
            "properties": {
                "x-promemoria-code": text("Why, as a code"),
                "x-promemoria-reason": text("Which field and why, never its value"),
                "x-promemoria-routing-key": text("Routing key with which it came"),
                "x-promemoria-queue": text("Queue from which it was taken"),
                "x-promemoria-at": json!({ "type": "string", "format": "date-time", "description": "When" }),
            },
        },
        "payload": { "description": "The body as it came, whatever it was" },
        "examples": [{
            "name": "a wrong date",
            "headers": {
                "x-promemoria-code": "time",
                "x-promemoria-reason": "data.data_scadenza: is no date `YYYY-MM-DD`",
                "x-promemoria-routing-key": "borgochiaro.permesso.rinnovato",
                "x-promemoria-queue": topology::EVENTS_QUEUE,
                "x-promemoria-at": "2027-01-18T09:00:01.250Z",
            },
        }],
    })
}
