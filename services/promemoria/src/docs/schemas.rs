//! `docs/schemas`: a JSON Schema of each event type and of each outcome type.

use shared::domain::catalogue::{Catalogue, event_schema};
use shared::domain::outcome::{OUTCOME_TYPES, outcome_schema};

/// Folders of generated schemas below the folder of the pages.
pub(super) const FOLDERS: [&str; 2] = ["schemas/events", "schemas/outcomes"];

/// The file of an event type.
pub(super) fn event_file(tipo: &str) -> String {
    format!("{}/{tipo}.json", FOLDERS[0])
}

/// The file of an outcome type.
pub(super) fn outcome_file(tipo: &str) -> String {
    format!("{}/{tipo}.json", FOLDERS[1])
}

/// Every schema by file name.
pub(super) fn files(catalogue: &Catalogue) -> Vec<(String, String)> {
    let events = catalogue
        .tipi_evento()
        .into_iter()
        .filter_map(|tipo| Some((event_file(tipo), event_schema(catalogue, tipo)?)));
    let outcomes = OUTCOME_TYPES.iter().map(|it| (outcome_file(it.tipo), outcome_schema(it)));
    events.chain(outcomes).map(|(file, schema)| (file, format!("{schema:#}\n"))).collect()
}
