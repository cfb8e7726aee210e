//! The handler with doubles for IO and the store: one test a row of what can happen.

mod doubts;
mod follow;
mod send;

use serde_json::{Value, json};
use shared::domain::FiscalCode;
use shared::domain::outcome::{outcome_schema, outcome_type};
use shared::wire::Outcome;

use super::*;
use crate::doubles::{CHIAVE, CODE, Tested, World, hash, request};

/// Holds an outcome against the schema that is published for its type.
fn assert_keeps_its_schema(outcome: &Outcome) {
    let tipo = outcome_type(outcome.tipo).unwrap_or_else(|| panic!("{} is no outcome type", outcome.tipo));
    let body = serde_json::from_slice(&outcome.body(chrono::DateTime::UNIX_EPOCH)).unwrap();
    if let Err(fault) = jsonschema::validate(&outcome_schema(tipo), &body) {
        panic!("{}: {}: {fault}", outcome.tipo, fault.instance_path());
    }
}

async fn dispatch(handler: &Tested, fields: Value) -> Verdict {
    let verdict = handler.dispatch(&request(fields), || true).await;
    verdict.outcomes.iter().for_each(assert_keeps_its_schema);
    verdict
}

/// The one outcome, as type and `data` without what every outcome of a message has.
fn outcome(verdict: &Verdict) -> (&'static str, Value) {
    let [outcome] = verdict.outcomes.as_slice() else { panic!("one outcome: {verdict:?}") };
    let mut data = outcome.data.clone();
    let common = ["messaggio", "chiave", "evento", "destinatario"].map(|key| data.remove(key).unwrap());
    let person = hash().of(&FiscalCode::parse(CODE).unwrap());
    assert_eq!(common, [json!("alloggi-protocollo"), json!(CHIAVE), json!("e"), json!(person)]);
    assert_eq!(outcome.routing_key(), format!("borgochiaro.{}", outcome.tipo));
    (outcome.tipo, Value::Object(data))
}

fn retry(world: &World) -> (Duration, bool) {
    match world.settlements().as_slice() {
        [Settlement::Retry { after, burns_attempt, .. }] => (*after, *burns_attempt),
        other => panic!("one retry: {other:?}"),
    }
}

fn scartato(motivo: &str) -> (&'static str, Value) {
    ("messaggio.scartato", json!({ "motivo": motivo }))
}
