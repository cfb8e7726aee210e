//! The catalogue: message types, office timers and event types of each service, as data.
//!
//! `model.rs` (services, events) and `planning.rs` (messages, timers, rules) hold the records as the files
//! spell them, `load.rs` reads a catalogue folder, `check` lists every fault in it, `text.rs` looks into the texts. `schema.rs` and `docs.rs` turn the same records into
//! JSON Schema and into a page. A new message type or a new service is a new file, never new code.

pub mod check;
mod docs;
mod doubt;
mod example;
mod fields;
mod load;
pub mod model;
mod planning;
mod schema;
mod text;

use std::collections::BTreeMap;

pub use model::{
    Atteso, Campo, Derivato, Dove, Persona, Regola, RichiestiSe, Servizio, TipoCampo, TipoEvento,
};
pub use planning::{
    Annullamento, Eccezione, InRitardo, Innesco, Messaggio, Momento, Origine, Pianificazione, Premium,
    Pulsante, Soppressione, Sospensione, Timer, Variabile,
};

pub use check::{check_ente, ente_faults, ente_gaps};
pub use docs::events_page;
pub use doubt::{InDubbio, Ruling};
pub use example::example_event;
pub use fields::{FieldInfo, any_holds, holds};
pub use load::Source;
pub use schema::event_schema;

use super::calendar::Holidays;
use super::permits::Permits;

/// Everything the catalogue folder holds.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Services by id.
    pub servizi: BTreeMap<String, Service>,
    /// Permit titles.
    pub permessi: Permits,
    /// National holidays.
    pub festivita: Holidays,
    /// First 16 hex digits of SHA-256 over its files: tells two catalogues apart.
    pub digest: String,
}

/// One service: its sheet, events, messages and office timers.
#[derive(Debug, Clone)]
pub struct Service {
    /// The sheet.
    pub scheda: Servizio,
    /// Event types by `tipo`.
    pub eventi: BTreeMap<String, TipoEvento>,
    /// Message types by id.
    pub messaggi: BTreeMap<String, Messaggio>,
    /// Office timers by id.
    pub timer: BTreeMap<String, Timer>,
}

impl Catalogue {
    /// The service of that id.
    #[must_use]
    pub fn servizio(&self, id: &str) -> Option<&Service> {
        self.servizi.get(id)
    }

    /// The distinct event types of all services, sorted.
    #[must_use]
    pub fn tipi_evento(&self) -> Vec<&str> {
        let mut tipi: Vec<&str> =
            self.servizi.values().flat_map(|s| s.eventi.keys().map(String::as_str)).collect();
        tipi.sort_unstable();
        tipi.dedup();
        tipi
    }
}

#[cfg(test)]
pub(crate) mod tests;
