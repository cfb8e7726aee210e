//! The handler with doubles for IO and the store: one test a row of what can happen.

mod follow;
mod send;

use shared::domain::outcome::{outcome_schema, outcome_type};
use shared::wire::Outcome;

/// Holds an outcome against the schema that is published for its type.
fn assert_keeps_its_schema(outcome: &Outcome) {
    let tipo = outcome_type(outcome.tipo).unwrap_or_else(|| panic!("{} is no outcome type", outcome.tipo));
    let body = serde_json::from_slice(&outcome.body(chrono::DateTime::UNIX_EPOCH)).unwrap();
    if let Err(fault) = jsonschema::validate(&outcome_schema(tipo), &body) {
        panic!("{}: {}: {fault}", outcome.tipo, fault.instance_path());
    }
}
