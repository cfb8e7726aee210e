//! A case without what is personal in it.

use chrono_tz::Tz;
use serde_json::{Value, json};
use shared::domain::case::{Case, Planned, Standing};
use shared::domain::plan::message_key;
use shared::store::Unit;
use shared::store::progress::RawProgress;

use super::both;
use crate::report::push;
use crate::shown::shown;

/// A case as an operator sees it.
pub(super) struct CaseView {
    pub(super) pratica: String,
    pub(super) servizio: String,
    pub(super) is_share: bool,
    pub(super) taken: usize,
    pub(super) facts: Vec<FactView>,
    pub(super) messages: Vec<MessageView>,
}

/// What is known of a fact: not what it says.
pub(super) struct FactView {
    pub(super) at_ms: i64,
    pub(super) at: (String, String),
    pub(super) tipo: String,
    pub(super) id: String,
}

/// A planned message or office timer.
pub(super) struct MessageView {
    pub(super) due_ms: i64,
    pub(super) due: (String, String),
    pub(super) rule: String,
    /// What it hangs on, by kind: `avviso`.
    pub(super) cosa: String,
    pub(super) chiave: String,
    pub(super) evento: String,
    /// `armed`, `moved`, `emitted`, `leaving`, `in-doubt`, `missed`, or how it ended.
    pub(super) state: String,
    /// Reason, code, level and IO's id: what comes with the state.
    pub(super) detail: Vec<String>,
}

/// Shows a case as it was loaded.
pub(super) fn view(ente: &str, unit: &Unit, zone: Tz) -> CaseView {
    let case = &unit.case;
    let mut facts: Vec<FactView> = facts(case, zone).collect();
    facts.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    let mut messages: Vec<MessageView> = case
        .planned
        .iter()
        .map(|planned| {
            let (state, detail) = state(planned, &unit.raw_progress(planned.slot));
            MessageView {
                due_ms: planned.due_ms,
                due: both(planned.due_ms, zone),
                rule: planned.rule.clone(),
                cosa: planned.thing.split(':').next().unwrap_or_default().to_owned(),
                chiave: message_key(ente, case, &unit.id, planned),
                evento: shown(&planned.event),
                state,
                detail,
            }
        })
        .collect();
    messages.sort_by_key(|message| message.due_ms);
    CaseView {
        pratica: shown(&case.pratica),
        servizio: case.servizio.clone(),
        is_share: case.share,
        taken: case.events.len(),
        facts,
        messages,
    }
}

fn facts(case: &Case, zone: Tz) -> impl Iterator<Item = FactView> {
    let all = case.things.values().flatten();
    all.flat_map(|(tipo, facts)| facts.iter().map(move |fact| (tipo, &fact.stamp))).map(
        move |(tipo, stamp)| FactView {
            at_ms: stamp.time_ms,
            at: both(stamp.time_ms, zone),
            tipo: tipo.clone(),
            id: shown(&stamp.id),
        },
    )
}

/// Where a planned message stands, in one word, and what comes with it.
fn state(planned: &Planned, progress: &RawProgress) -> (String, Vec<String>) {
    let detail = || {
        let last = usize::from(progress.ended_ms().is_some());
        let all: Vec<String> = (0..).map_while(|place| progress.detail(place).map(shown)).collect();
        all[..all.len().saturating_sub(last)].to_vec()
    };
    match planned.standing {
        Standing::Discarded(motivo) => ("scartato".to_owned(), vec![motivo.as_str().to_owned()]),
        Standing::Missed => ("missed".to_owned(), Vec::new()),
        Standing::Armed | Standing::Moved => match (progress.ended(), progress.0.chars().next()) {
            (Some(ended), _) => (ended.to_owned(), detail()),
            (None, Some('D')) => {
                ("in-doubt".to_owned(), progress.doubt().map(str::to_owned).into_iter().collect())
            }
            (None, Some('I')) => ("leaving".to_owned(), Vec::new()),
            (None, Some('E')) => ("emitted".to_owned(), Vec::new()),
            _ if planned.standing == Standing::Moved => ("moved".to_owned(), Vec::new()),
            _ => ("armed".to_owned(), Vec::new()),
        },
    }
}

impl CaseView {
    /// For people.
    pub(super) fn text(&self) -> String {
        let share = if self.is_share { ", one recipient's share of list events" } else { "" };
        let mut text = format!("{}  {}{share}\n\n", self.pratica, self.servizio);
        push(&mut text, format_args!("events taken: {}; the newest of each kind:\n", self.taken));
        for fact in &self.facts {
            push(&mut text, format_args!("  {}  {:<36} {}\n", fact.at.0, fact.tipo, fact.id));
        }
        text.push_str("\nmessages and office timers:\n");
        if self.messages.is_empty() {
            text.push_str("  none\n");
        }
        for message in &self.messages {
            let mut state = vec![message.state.clone()];
            state.extend(message.detail.iter().cloned());
            push(&mut text, format_args!("  {}  {:<48} {}\n", message.due.0, message.rule, state.join(" ")));
            push(
                &mut text,
                format_args!("                    {}, event {}\n", message.chiave, message.evento),
            );
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let facts =
            self.facts.iter().map(|fact| json!({ "time": fact.at.1, "type": fact.tipo, "id": fact.id }));
        let messages = self.messages.iter().map(|message| {
            json!({
                "scadenza": message.due.1,
                "nome": message.rule,
                "cosa": message.cosa,
                "chiave": message.chiave,
                "evento": message.evento,
                "state": message.state,
                "detail": message.detail,
            })
        });
        json!({
            "pratica": self.pratica,
            "servizio": self.servizio,
            "share": self.is_share,
            "events_taken": self.taken,
            "events": facts.collect::<Vec<_>>(),
            "messages": messages.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::case::Motivo;

    fn planned(standing: Standing) -> Planned {
        Planned {
            slot: 0,
            rule: "permesso-in-scadenza".to_owned(),
            thing: "permesso".to_owned(),
            firing: 0,
            anchor: String::new(),
            cycle: 0,
            due_ms: 0,
            useful_until_ms: None,
            held_until_ms: None,
            is_timer: false,
            event: "e".to_owned(),
            changed_by: None,
            standing,
        }
    }

    #[test]
    fn each_progress_has_its_word() {
        for (progress, standing, word, detail) in [
            ("", Standing::Armed, "armed", ""),
            ("A|1|2", Standing::Moved, "moved", ""),
            ("E|1|0", Standing::Armed, "emitted", ""),
            ("I|1|0", Standing::Armed, "leaving", ""),
            ("D|1|0|timeout|1700000000000", Standing::Armed, "in-doubt", "timeout"),
            ("F|inviato|STANDARD|01ABC|1700000000000", Standing::Armed, "inviato", "STANDARD 01ABC"),
            ("F|fallito|in-doubt-dropped|1700000000000", Standing::Armed, "fallito", "in-doubt-dropped"),
            ("F|annullato|1700000000000", Standing::Discarded(Motivo::Annullato), "scartato", "annullato"),
            ("", Standing::Missed, "missed", ""),
        ] {
            let (state, found) = state(&planned(standing), &RawProgress(progress.to_owned()));
            assert_eq!((state.as_str(), found.join(" ").as_str()), (word, detail), "{progress}");
        }
    }
}
