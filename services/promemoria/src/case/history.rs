//! What the journal tells of a case, from the first event to the last outcome. Keys, ids, codes and instants:
//! nothing of what an event or a message says.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::hex;
use shared::journal::{Became, Entry, Line, Told};
use shared::store::keys::CaseId;

use super::both;
use crate::report::push;
use crate::shown::shown;

/// Which lines are the case's.
pub(super) struct Wanted<'a> {
    pub(super) ente: &'a str,
    pub(super) servizi: Vec<&'a str>,
    pub(super) pratica: &'a str,
    /// Only this recipient's share of list events.
    pub(super) destinatario: Option<String>,
    /// The case, and that share.
    pub(super) ids: &'a [CaseId],
}

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    at_ms: i64,
    /// What: `evento`, `richiesta`, `ritorno`, or the word of an outcome.
    what: &'static str,
    /// Event type, message type or office timer; empty where only the key is known.
    name: String,
    /// Id of the event, or key of the message.
    key: String,
    detail: Vec<String>,
}

/// What of an event is shown.
#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(rename = "type")]
    tipo: String,
    subject: String,
    servizio: String,
}

/// Collects the steps of a case.
#[derive(Default)]
pub(super) struct History {
    steps: Vec<Step>,
    /// Message types by key.
    names: BTreeMap<String, String>,
}

impl History {
    /// Takes a line, if it is the case's.
    pub(super) fn line(&mut self, wanted: &Wanted<'_>, line: &Line) {
        if line.record.ente() != wanted.ente {
            return;
        }
        let step = match &line.entry {
            Entry::Taken => event(wanted, line),
            Entry::Intent(intent) => {
                let is_ours = wanted.ids.iter().any(|id| hex(id) == intent.caso);
                is_ours.then(|| Step {
                    at_ms: line.at_ms,
                    what: if intent.released { "ritorno" } else { "richiesta" },
                    name: String::new(),
                    key: intent.chiave.clone(),
                    detail: vec![intent.attempt.to_string()],
                })
            }
            Entry::Told(told) => self.told(wanted, told),
            Entry::Nothing => None,
        };
        // A line may come twice: it was written again because nobody knew whether it had been.
        if let Some(step) = step.filter(|step| !self.steps.contains(step)) {
            self.steps.push(step);
        }
    }

    fn told(&mut self, wanted: &Wanted<'_>, told: &Told) -> Option<Step> {
        let is_case = told.pratica == wanted.pratica && wanted.servizi.contains(&told.servizio.as_str());
        let is_share = wanted.destinatario.is_none() || told.destinatario == wanted.destinatario;
        if !(is_case && is_share) {
            return None;
        }
        self.names.insert(told.chiave.clone(), told.rule.clone());
        let (what, detail) = became(&told.what);
        let detail = detail.iter().filter(|text| !text.is_empty()).map(|text| shown(text)).collect();
        let key = told.chiave.clone();
        Some(Step { at_ms: told.at_ms, what, name: told.rule.clone(), key, detail })
    }

    /// The steps in the order of their instants; a request is named after what became of its message.
    pub(super) fn steps(mut self) -> Vec<Step> {
        for step in self.steps.iter_mut().filter(|step| step.name.is_empty()) {
            step.name = self.names.get(&step.key).cloned().unwrap_or_default();
        }
        self.steps.sort_by_key(|step| step.at_ms);
        self.steps
    }
}

fn event(wanted: &Wanted<'_>, line: &Line) -> Option<Step> {
    let head: Head = serde_json::from_str(&line.record.body).ok()?;
    let is_ours = head.subject == wanted.pratica && wanted.servizi.contains(&head.servizio.as_str());
    is_ours.then(|| Step {
        at_ms: line.at_ms,
        what: "evento",
        name: shown(&head.tipo),
        key: shown(&head.id),
        detail: Vec::new(),
    })
}

/// The word of an outcome, and what comes with it.
fn became(what: &Became) -> (&'static str, Vec<String>) {
    let text = |text: &str| vec![text.to_owned()];
    match what {
        Became::Planned { scadenza, moved: false } => ("armato", text(scadenza)),
        Became::Planned { scadenza, moved: true } => ("spostato", text(scadenza)),
        Became::Sent { level, io_id } => {
            ("inviato", vec![level.as_str().to_owned(), io_id.clone().unwrap_or_default()])
        }
        Became::Assumed { level } => ("presunto", text(level.as_str())),
        Became::Delivered(io_id) => ("consegnato", text(io_id)),
        Became::Rejected(io_id) => ("rifiutato", text(io_id)),
        Became::Discarded(motivo) => ("scartato", text(motivo)),
        Became::Failed(codice) => ("fallito", text(codice)),
        Became::Doubtful { politica, tentativo } => {
            ("in-dubbio", vec![politica.as_str().to_owned(), tentativo.to_string()])
        }
        Became::Matured => ("maturata", Vec::new()),
    }
}

/// For people.
pub(super) fn text(steps: &[Step], zone: Tz) -> String {
    let mut text = "what the journal tells:\n".to_owned();
    if steps.is_empty() {
        text.push_str("  nothing\n");
    }
    for step in steps {
        let detail = step.detail.join(" ");
        let at = both(step.at_ms, zone).0;
        push(&mut text, format_args!("  {at}  {:<11} {:<44} {detail}\n", step.what, step.name));
        push(&mut text, format_args!("                    {}\n", step.key));
    }
    text
}

/// For programs.
pub(super) fn json(steps: &[Step], zone: Tz) -> Value {
    let step = |step: &Step| {
        json!({
            "time": both(step.at_ms, zone).1,
            "what": step.what,
            "nome": step.name,
            "key": step.key,
            "detail": step.detail,
        })
    };
    steps.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::plan::case_id;
    use shared::journal::{Record, Strand};

    fn line(strand: Strand, tipo: &str, at_ms: i64, body: &Value) -> Line {
        let key = if strand == Strand::Intents { "borgo".to_owned() } else { format!("borgo.{tipo}") };
        let taken_ms = (strand == Strand::Events).then_some(at_ms);
        Line::parse(Record { strand, key, taken_ms, traceparent: None, body: body.to_string() }).unwrap()
    }

    fn outcome(tipo: &str, time: &str, data: &Value) -> Line {
        let body = json!({ "type": tipo, "subject": "P-1", "time": time, "servizio": "s", "data": data });
        line(Strand::Outcomes, tipo, 0, &body)
    }

    #[test]
    fn a_case_is_told_from_its_first_event_without_what_the_event_says() {
        let id = case_id("s", "P-1", None);
        let data = json!({ "codice_fiscale": "RSSMRA85T10A562S", "cognome": "Rossi" });
        let event = json!({
            "id": "RSSMRA85T10A562S-1", "type": "t", "subject": "P-1", "servizio": "s", "data": data,
        });
        let other = json!({ "id": "2", "type": "t", "subject": "P-2", "servizio": "s", "data": {} });
        let intent = json!({
            "v": 1, "ente": "borgo", "chiave": "k", "caso": hex(&id), "slot": 0, "attempt": 1, "token": "x",
            "at_ms": 2_000, "until_ms": 9_000,
        });
        let sent = json!({ "messaggio": "m", "chiave": "k", "io_id": "01A", "livello": "STANDARD" });
        let sent = outcome("messaggio.inviato", "1970-01-01T00:00:03Z", &sent);
        let wanted =
            Wanted { ente: "borgo", servizi: vec!["s"], pratica: "P-1", destinatario: None, ids: &[id] };
        let mut history = History::default();
        for line in [
            &line(Strand::Events, "t", 1_000, &event),
            &line(Strand::Events, "t", 1_500, &other),
            &line(Strand::Intents, "", 0, &intent),
            &sent,
            &sent,
        ] {
            history.line(&wanted, line);
        }
        let steps = history.steps();
        let told: Vec<_> = steps.iter().map(|it| (it.at_ms, it.what, it.name.as_str())).collect();
        assert_eq!(told, [(1_000, "evento", "t"), (2_000, "richiesta", "m"), (3_000, "inviato", "m")]);
        let text = text(&steps, Tz::Europe__Rome) + &json(&steps, Tz::Europe__Rome).to_string();
        assert!(text.contains("01A") && text.contains("****************-1"), "{text}");
        assert!(!text.contains("Rossi") && !text.contains("RSSMRA"), "{text}");
    }

    #[test]
    fn one_recipients_share_is_that_recipients_only() {
        let told = |destinatario: &str, chiave: &str| {
            let data = json!({ "messaggio": "m", "chiave": chiave, "destinatario": destinatario, "motivo": "premium" });
            outcome("messaggio.scartato", "2026-11-20T09:00:00Z", &data)
        };
        let wanted = Wanted {
            ente: "borgo",
            servizi: vec!["s"],
            pratica: "P-1",
            destinatario: Some("aa".to_owned()),
            ids: &[],
        };
        let mut history = History::default();
        history.line(&wanted, &told("aa", "1"));
        history.line(&wanted, &told("bb", "2"));
        let steps = history.steps();
        assert_eq!((steps.len(), steps[0].key.as_str()), (1, "1"));
    }
}
