//! Everything that can be wrong in a catalogue whose files parse, and in what an ente adds to it.
//!
//! `events` looks at the event types, `messages` at texts and variables, `rules` at the tables `[regola]`,
//! `enti` at an ente's own texts and variables.

mod enti;
mod events;
mod messages;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::NaiveDate;

pub use enti::{check_ente, ente_faults, ente_gaps};

use super::{Catalogue, Service};
use crate::domain::calendar::Holiday;
use crate::domain::fault::Fault;

/// Names that `data` may hold in every event; no field or variable may take them.
pub const RESERVED: [&str; 4] = ["codice_fiscale", "titolare", "destinatari", "importazione"];

/// Every fault of a catalogue.
#[must_use]
pub fn check(catalogue: &Catalogue) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    for (folder, service) in &catalogue.servizi {
        sheet(folder, service, &mut faults);
        for event in service.eventi.values() {
            events::check(catalogue, service, event, &mut faults);
        }
        for message in service.messaggi.values() {
            messages::check(service, message, &mut faults);
            let mut at = At::new(service, "messaggi", &message.id, "md", &mut faults);
            rules::check(&mut at, &message.regola);
        }
        for timer in service.timer.values() {
            let mut at = At::new(service, "timer", &timer.id, "toml", &mut faults);
            rules::check(&mut at, &timer.regola);
            if timer.regola.momento.ancora.is_none() {
                at.fault("regola.momento.ancora", "a timer needs one");
            }
        }
        for id in service.messaggi.keys().chain(service.timer.keys()) {
            if let Some(other) = ids.insert(id, folder) {
                let reason = format!("`{id}` is there twice, here and in {other}");
                faults.push(Fault::new(folder, "", reason));
            }
        }
    }
    faults
}

/// Faults of the national holidays.
#[must_use]
pub fn holidays(file: &str, fixed: &[Holiday]) -> Vec<Fault> {
    let is_real = |h: &&Holiday| NaiveDate::from_ymd_opt(2024, h.mese, h.giorno).is_none();
    let unreal = fixed.iter().filter(is_real);
    unreal.map(|h| Fault::new(file, "fisse", format!("`{}` falls on no day of the year", h.nome))).collect()
}

fn sheet(folder: &str, service: &Service, faults: &mut Vec<Fault>) {
    let mut at = At { service, file: format!("{folder}/servizio.toml"), faults };
    if service.scheda.id != folder {
        at.fault("id", "must equal the folder's name");
    }
    let named = folder.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !named {
        at.fault("id", "only lower-case letters, digits and `-`");
    }
    for (place, closing) in service.scheda.chiude.iter().enumerate() {
        rules::cancellation(&mut at, &format!("chiude[{place}]"), closing, &[]);
    }
}

/// A file under check.
struct At<'a> {
    service: &'a Service,
    file: String,
    faults: &'a mut Vec<Fault>,
}

impl<'a> At<'a> {
    fn new(
        service: &'a Service,
        folder: &str,
        name: &str,
        extension: &str,
        faults: &'a mut Vec<Fault>,
    ) -> Self {
        Self { service, file: format!("{}/{folder}/{name}.{extension}", service.scheda.id), faults }
    }

    fn fault(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.faults.push(Fault::new(&self.file, key, reason));
    }
}
