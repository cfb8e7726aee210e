//! The intake check held against good and bad events (reliability.md section 3).

mod bad_data;
mod bad_frames;
mod corpus;
mod good;
mod mutations;
mod schema;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{CaseEvent, Refusal};
use crate::domain::catalogue::{Catalogue, example_event, tests::shipped};
use crate::domain::ente::{ContrattoPremium, Ente, IoAccount, ServizioEnte};

pub(super) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(shipped);
pub(super) static ENTE: LazyLock<Ente> = LazyLock::new(ente);

const P: &str = "permesso-soggiorno";
const A: &str = "alloggi-sociali";

/// An ente that runs both services and gives every variable that an ente may give but
/// `url_prenotazione_firma`, which falls back to `url_prenotazione`.
pub(crate) fn ente() -> Ente {
    let variabili: BTreeMap<String, String> = [
        ("ufficio", "Ufficio Anagrafe"),
        ("sportello", "Sportello Casa"),
        ("canale", "PEC"),
        ("url_prenotazione", "https://prenota.example.it"),
        ("url_info", "https://info.example.it"),
        ("url_disdetta", "https://prenota.example.it/disdici"),
        ("url_pratica", "https://pratiche.example.it/{numero_pratica}"),
    ]
    .map(|(nome, value)| (nome.to_owned(), value.to_owned()))
    .into();
    let servizio = ServizioEnte { variabili, ..ServizioEnte::default() };
    Ente {
        id: "borgochiaro".into(),
        denominazione: "Comune di Borgochiaro".into(),
        comune: "Borgochiaro".into(),
        fuso: chrono_tz::Europe::Rome,
        festivita_locali: vec![(8, 26)],
        io: IoAccount { account: "borgochiaro".into(), calls_per_5s: 150 },
        premium: ContrattoPremium::default(),
        servizi: [P, A].map(|id| (id.to_owned(), servizio.clone())).into(),
    }
}

/// The example event of a type.
fn example(servizio: &str, tipo: &str) -> Value {
    example_event(&CATALOGUE, servizio, tipo).unwrap()
}

fn parse_with(event: &Value, ente: &Ente) -> Result<CaseEvent, Refusal> {
    let key = format!("borgochiaro.{}", event["type"].as_str().unwrap_or("-"));
    let body = event.to_string();
    CaseEvent::parse(body.as_bytes(), None, &key, &CATALOGUE, |id| (id == "borgochiaro").then_some(ente))
}

fn parse(event: &Value) -> Result<CaseEvent, Refusal> {
    parse_with(event, &ENTE)
}

/// The event with one thing of `data` changed; null takes it away.
fn with(mut event: Value, field: &str, value: Value) -> Value {
    let data = event["data"].as_object_mut().unwrap();
    if value.is_null() {
        data.remove(field)
    } else {
        data.insert(field.to_owned(), value)
    };
    event
}

/// The example event of a rent notice with one thing of `data` changed.
fn rent(field: &str, value: Value) -> Value {
    with(example(A, "pagamento.avviso-emesso"), field, value)
}

/// An expired-permit event with only what the stories give.
fn permit(tipo: &str, data: Value) -> Value {
    let mut event = example(P, tipo);
    event["data"] = data;
    event["data"]["codice_fiscale"] = json!("RSSMRA85T10A562S");
    event
}
