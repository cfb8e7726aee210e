//! What happened, ready to be shown. Recipients are numbered in the order in which they appear: their
//! fiscal codes are not shown.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::Value;
use shared::domain::case::{Case, Planned};
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::simulate::{Moment, Simulation, What};
use shared::wire::{DispatchRequest, Outcome, RecipientHash};

use crate::instant;

/// The whole of it.
pub(super) struct Timeline {
    pub(super) ente: String,
    pub(super) denominazione: String,
    pub(super) zone: Tz,
    /// RFC 3339.
    pub(super) from: String,
    /// RFC 3339.
    pub(super) until: String,
    pub(super) entries: Vec<Entry>,
    pub(super) armed: Vec<Armed>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Event,
    Duplicate,
    Refused,
    Armed,
    Moved,
    Sent,
    Discarded,
    Failed,
    Office,
    Told,
}

/// One thing that happened.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// RFC 3339.
    pub(super) at: String,
    #[serde(skip)]
    pub(super) instant: DateTime<Utc>,
    pub(super) what: Kind,
    /// Event type, message type, office timer or outcome.
    pub(super) nome: String,
    #[serde(skip)]
    pub(super) titolo: String,
    /// It is an office timer, not a message.
    #[serde(skip)]
    pub(super) is_timer: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pratica: Option<String>,
    /// Event id, or that of the event that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evento: Option<String>,
    /// Which recipient, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) persona: Option<usize>,
    /// RFC 3339: when it will fall due, or fell due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scadenza: Option<String>,
    /// Why it is discarded, refused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) motivo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message>,
}

/// What a citizen gets.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) servizio: String,
    #[serde(skip)]
    pub(super) nome_servizio: String,
    pub(super) livello: &'static str,
    pub(super) subject: String,
    pub(super) markdown: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due_date: Option<String>,
    /// Euro cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount: Option<i64>,
    /// Id of the attached document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allegato: Option<String>,
}

/// What stays armed at the end.
#[derive(Debug, Serialize)]
pub(super) struct Armed {
    /// RFC 3339.
    pub(super) scadenza: String,
    #[serde(skip)]
    pub(super) instant: DateTime<Utc>,
    pub(super) nome: String,
    #[serde(skip)]
    pub(super) titolo: String,
    pub(super) pratica: String,
}

/// What names are made from.
pub(super) struct Naming<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) ente: &'a Ente,
    pub(super) hash: &'a RecipientHash,
    /// Cases by the ids of the events.
    pub(super) cases: HashMap<String, String>,
}

impl Timeline {
    /// Reads a simulation that has run from the one instant to the other.
    pub(super) fn of(
        simulation: &Simulation<'_>,
        naming: &Naming<'_>,
        (from, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        let zone = naming.ente.fuso;
        let mut reading = Reading { naming, persons: Vec::new() };
        Self {
            ente: naming.ente.id.clone(),
            denominazione: naming.ente.denominazione.clone(),
            zone,
            from: instant::machine(from, zone),
            until: instant::machine(until, zone),
            entries: simulation.timeline().iter().map(|moment| reading.entry(moment)).collect(),
            armed: simulation
                .armed()
                .into_iter()
                .map(|(case, planned)| reading.armed(case, planned))
                .collect(),
        }
    }

    /// Whether an event was refused or a message could not be rendered.
    pub(super) fn has_faults(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.what, Kind::Refused | Kind::Failed))
    }
}

struct Reading<'a> {
    naming: &'a Naming<'a>,
    /// Keyed hashes of the recipients met so far.
    persons: Vec<String>,
}

impl Reading<'_> {
    fn entry(&mut self, moment: &Moment) -> Entry {
        let blank = |what: Kind, nome: &str| Entry {
            at: instant::machine(moment.at, self.naming.ente.fuso),
            instant: moment.at,
            what,
            nome: nome.to_owned(),
            titolo: self.title(nome),
            is_timer: false,
            pratica: None,
            evento: None,
            persona: None,
            scadenza: None,
            motivo: None,
            message: None,
        };
        match &moment.what {
            What::Taken { tipo, id } => self.taken(id, blank(Kind::Event, tipo)),
            What::Duplicate { id } => self.taken(id, blank(Kind::Duplicate, "")),
            What::Refused(refusal) => Entry {
                evento: refusal.event_id.clone(),
                pratica: refusal.subject.clone(),
                motivo: Some(refusal.to_string()),
                ..blank(Kind::Refused, "")
            },
            What::Failed { message, reason } => Entry {
                pratica: Some(message.pratica.clone()),
                evento: Some(message.evento.clone()),
                motivo: Some(reason.clone()),
                ..blank(Kind::Failed, &message.messaggio)
            },
            What::Sent(sent) => {
                let entry = blank(Kind::Sent, &sent.message.messaggio);
                let person = self.naming.hash.of(&sent.codice_fiscale);
                Entry {
                    pratica: Some(sent.message.pratica.clone()),
                    evento: Some(sent.message.evento.clone()),
                    persona: Some(self.person(person)),
                    message: Some(self.message(sent)),
                    ..entry
                }
            }
            What::Told(outcome) => {
                let (what, nome) = kind(outcome);
                let entry = blank(what, &nome);
                self.told(outcome, entry)
            }
        }
    }

    fn taken(&self, id: &str, entry: Entry) -> Entry {
        Entry { evento: Some(id.to_owned()), pratica: self.naming.cases.get(id).cloned(), ..entry }
    }

    fn told(&mut self, outcome: &Outcome, entry: Entry) -> Entry {
        let text = |key: &str| outcome.data.get(key).and_then(Value::as_str).map(str::to_owned);
        Entry {
            pratica: Some(outcome.subject.clone()),
            evento: text("evento").filter(|id| !id.is_empty()),
            persona: text("destinatario").map(|person| self.person(person)),
            scadenza: text("scadenza"),
            is_timer: outcome.data.contains_key("timer"),
            motivo: text("motivo").or_else(|| text("codice")),
            ..entry
        }
    }

    fn person(&mut self, hash: String) -> usize {
        let place = self.persons.iter().position(|known| *known == hash);
        place.unwrap_or_else(|| {
            self.persons.push(hash);
            self.persons.len() - 1
        }) + 1
    }

    fn message(&self, sent: &DispatchRequest) -> Message {
        let servizio = &sent.message.servizio;
        let sheet = self.naming.catalogue.servizio(servizio).map(|service| service.scheda.nome.clone());
        Message {
            servizio: servizio.clone(),
            nome_servizio: sheet.unwrap_or_default(),
            livello: sent.livello.as_str(),
            subject: sent.content.subject.clone(),
            markdown: sent.content.markdown.clone(),
            due_date: sent.content.due_date.clone(),
            amount: sent.content.payment_data.as_ref().map(|payment| payment.amount),
            allegato: sent.content.third_party_data.as_ref().map(|attached| attached.id.clone()),
        }
    }

    fn armed(&self, case: &Case, planned: &Planned) -> Armed {
        let instant = instant::of_ms(planned.due_ms);
        Armed {
            scadenza: instant::machine(instant, self.naming.ente.fuso),
            instant,
            nome: planned.rule.clone(),
            titolo: self.title(&planned.rule),
            pratica: case.pratica.clone(),
        }
    }

    /// The title of a message type where it is the same for all, else its id in words.
    fn title(&self, nome: &str) -> String {
        let mut services = self.naming.catalogue.servizi.values();
        let message = services.find_map(|service| service.messaggi.get(nome));
        let title = message.map(|message| message.titolo.clone()).filter(|title| !title.contains('{'));
        title.unwrap_or_else(|| in_words(nome))
    }
}

/// What an outcome tells, and of what.
fn kind(outcome: &Outcome) -> (Kind, String) {
    let text = |key: &str| outcome.data.get(key).and_then(Value::as_str);
    let nome = text("timer").or_else(|| text("messaggio")).unwrap_or(outcome.tipo).to_owned();
    let what = match (outcome.tipo, text("azione")) {
        ("messaggio.programmato", Some("spostato")) => Kind::Moved,
        ("messaggio.programmato", _) => Kind::Armed,
        ("messaggio.scartato", _) => Kind::Discarded,
        ("messaggio.fallito", _) => Kind::Failed,
        ("ufficio.scadenza-maturata", _) => Kind::Office,
        _ => Kind::Told,
    };
    (what, nome)
}

/// `dimora-non-dichiarata` as a title.
fn in_words(nome: &str) -> String {
    let words = nome.replace('-', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
