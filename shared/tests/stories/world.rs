//! The two enti of the stories, and a timeline that reads as the stories do.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Europe::Rome;
use serde_json::{Map, Value, json};
use shared::domain::FiscalCode;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::{ContrattoPremium, Ente, IoAccount, ServizioEnte, TimerEnte};
use shared::domain::outcome::{outcome_schema, outcome_type};
use shared::domain::render::Texts;
use shared::simulate::{Moment, Simulation, What, World};
use shared::wire::{DispatchRequest, Outcome, RecipientHash};

pub(crate) const CF1: &str = "RSSMRA85T10A562S";
pub(crate) const CF2: &str = "SPNDNL80R13C555T";
pub(crate) const CF3: &str = "AAAAAA00A00A000A";

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    Catalogue::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue"))
        .expect("the catalogue has no fault")
});

/// Which of the two enti.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// No Premium contract.
    N,
    /// Reminders and attachments.
    P,
}

pub(crate) fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

pub(crate) fn ente(which: Which) -> Ente {
    let premium = which == Which::P;
    let variabili: BTreeMap<String, String> = [
        ("ufficio", "Ufficio Anagrafe"),
        ("sportello", "Sportello Casa"),
        ("canale", "PEC"),
        ("url_prenotazione", "https://prenota.example.it"),
        ("url_info", "https://info.example.it"),
        ("url_disdetta", "https://prenota.example.it/disdici"),
        ("url_pratica", "https://pratiche.example.it/{numero_pratica}"),
        ("url_domanda", "https://domande.example.it"),
        ("url_prenotazione_firma", "https://prenota.example.it/firma"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let servizio = ServizioEnte {
        variabili,
        configurazione_remota: Some("01HMVM9W74RWH93NT1EYNKKNNR".to_owned()),
        ..ServizioEnte::default()
    };
    Ente {
        id: "borgochiaro".to_owned(),
        denominazione: "Comune di Borgochiaro".to_owned(),
        comune: "Borgochiaro".to_owned(),
        fuso: Rome,
        festivita_locali: vec![(8, 26)],
        io: IoAccount { account: "borgochiaro".to_owned(), calls_per_5s: 150 },
        premium: ContrattoPremium {
            promemoria: premium,
            allegati: premium,
            promemoria_anche_con_premium: false,
        },
        servizi: BTreeMap::from([
            ("permesso-soggiorno".to_owned(), servizio.clone()),
            ("alloggi-sociali".to_owned(), servizio),
        ]),
    }
}

/// The ente with another number of days for an office timer.
pub(crate) fn with_timer_days(mut ente: Ente, timer: &str, days: i64) -> Ente {
    let choice = TimerEnte { giorni: Some(days), ..TimerEnte::default() };
    for servizio in ente.servizi.values_mut() {
        servizio.timer.insert(timer.to_owned(), choice.clone());
    }
    ente
}

pub(crate) fn local(text: &str) -> DateTime<Utc> {
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a local instant");
    Rome.from_local_datetime(&naive).earliest().expect("an instant that exists").with_timezone(&Utc)
}

/// One event of a story.
pub(crate) struct Event<'a> {
    pub(crate) servizio: &'a str,
    pub(crate) tipo: &'a str,
    pub(crate) pratica: &'a str,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// Builds the CloudEvents body.
pub(crate) fn body(event: &Event<'_>, at: DateTime<Utc>) -> Vec<u8> {
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": "https://gestionale.example.it",
        "type": event.tipo,
        "subject": event.pratica,
        "time": at.with_timezone(&Rome).to_rfc3339(),
        "ente": "borgochiaro",
        "servizio": event.servizio,
        "data": event.data,
    })
    .to_string()
    .into_bytes()
}

/// Merges `more` into `data`.
pub(crate) fn with(data: Value, more: Value) -> Value {
    let (Value::Object(mut all), Value::Object(more)) = (data, more) else { panic!("objects") };
    all.extend(more);
    Value::Object(all)
}

/// The data of one person's event.
pub(crate) fn of(cf: &str, data: Value) -> Value {
    with(json!({ "codice_fiscale": cf }), data)
}

/// Tells the story to both kinds of ente.
pub(crate) fn both(servizio: &str, run: impl Fn(Which, &mut Story<'_>)) {
    for which in [Which::N, Which::P] {
        let ente = ente(which);
        let (texts, hash) = (texts(&ente), hash());
        run(which, &mut story(&ente, servizio, &texts, &hash));
    }
}

/// A story being told.
pub(crate) struct Story<'a> {
    simulation: Simulation<'a>,
    servizio: &'a str,
    told: usize,
    events: usize,
    last: (Vec<u8>, String),
}

/// Runs a story on an ente.
pub(crate) fn story<'w>(
    ente: &'w Ente,
    servizio: &'w str,
    texts: &'w Texts,
    hash: &'w RecipientHash,
) -> Story<'w> {
    let world = World {
        catalogue: catalogue(),
        ente,
        texts,
        hash,
        not_on_io: HashSet::from([FiscalCode::parse(CF2).expect("valid")]),
        premium_refused: false,
    };
    Story {
        simulation: Simulation::new(world, local("2020-01-01 00:00")),
        servizio,
        told: 0,
        events: 0,
        last: Default::default(),
    }
}

pub(crate) fn texts(ente: &Ente) -> Texts {
    Texts::compile(catalogue(), [ente]).expect("the texts compile")
}

pub(crate) fn hash() -> RecipientHash {
    RecipientHash::new("trial".into())
}

impl Story<'_> {
    /// Publishes an event and returns what happened up to it and because of it.
    pub(crate) fn at(&mut self, at: &str, tipo: &str, pratica: &str, data: Value) -> Vec<String> {
        self.events += 1;
        let id = format!("evento-{}", self.events);
        self.publish(at, (tipo, pratica), id, data)
    }

    fn publish(&mut self, at: &str, (tipo, pratica): (&str, &str), id: String, data: Value) -> Vec<String> {
        let event = Event { servizio: self.servizio, tipo, pratica, id, data };
        let at = local(at);
        self.last = (body(&event, at), format!("borgochiaro.{tipo}"));
        self.simulation.publish(&self.last.0, &self.last.1, at);
        self.happened()
    }

    /// Publishes the last event once more, byte for byte.
    pub(crate) fn again(&mut self, at: &str) -> Vec<String> {
        self.simulation.publish(&self.last.0, &self.last.1, local(at));
        self.happened()
    }

    /// Lets the time pass and returns what happened.
    pub(crate) fn until(&mut self, at: &str) -> Vec<String> {
        self.simulation.advance(local(at));
        self.happened()
    }

    pub(crate) fn simulation(&self) -> &Simulation<'_> {
        &self.simulation
    }

    /// The last message sent.
    pub(crate) fn last_sent(&self) -> &DispatchRequest {
        let sent = self.simulation.timeline().iter().rev().find_map(|moment| match &moment.what {
            What::Sent(sent) => Some(sent.as_ref()),
            _ => None,
        });
        sent.expect("a message was sent")
    }

    fn happened(&mut self) -> Vec<String> {
        let fresh = &self.simulation.timeline()[self.told..];
        self.told = self.simulation.timeline().len();
        fresh.iter().filter_map(line).collect()
    }
}

/// One line of a story: local instant and what happened.
fn line(moment: &Moment) -> Option<String> {
    let at = moment.at.with_timezone(&Rome).format("%Y-%m-%d %H:%M");
    Some(match &moment.what {
        What::Taken { .. } | What::Duplicate { .. } => return None,
        What::Refused(refusal) => format!("{at} rifiutato {}: {}", refusal.code.as_str(), refusal.reason),
        What::Sent(sent) => {
            let due = sent.content.due_date.as_deref().map(|due| format!(" {due}")).unwrap_or_default();
            let attached = if sent.content.third_party_data.is_some() { " allegato" } else { "" };
            format!("{at} {} {}{due}{attached}", sent.message.messaggio, sent.livello.as_str())
        }
        What::Failed { message, reason } => format!("{at} fallito {}: {reason}", message.messaggio),
        What::Told(outcome) => {
            assert_keeps_its_schema(outcome, moment.at);
            format!("{at} {}", told(outcome.tipo, &outcome.data))
        }
    })
}

/// Holds an outcome against the schema that is published for its type.
fn assert_keeps_its_schema(outcome: &Outcome, at: DateTime<Utc>) {
    let tipo = outcome_type(outcome.tipo).expect("an outcome type");
    let body = serde_json::from_slice(&outcome.body(at)).expect("JSON");
    let checked = jsonschema::validate(&outcome_schema(tipo), &body);
    assert!(checked.is_ok(), "{}: {checked:?}", outcome.tipo);
}

fn told(tipo: &str, data: &Map<String, Value>) -> String {
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let what = if data.contains_key("timer") { text("timer") } else { text("messaggio") };
    match tipo {
        "messaggio.programmato" => format!("{} {what} {}", text("azione"), short(&text("scadenza"))),
        "messaggio.scartato" => format!("scartato {what} {}", text("motivo")),
        "ufficio.scadenza-maturata" => format!("ufficio {what}"),
        other => format!("{other} {what}"),
    }
}

fn short(instant: &str) -> String {
    let at = DateTime::parse_from_rfc3339(instant).expect("an instant with offset");
    at.with_timezone(&Rome).format("%Y-%m-%d %H:%M").to_string()
}
