//! The timeline for a terminal: date and local time as people in Italy write them, what happened, the text
//! of each message below it.

use chrono::DateTime;

use super::timeline::{Entry, Kind, Message, Timeline};
use crate::instant::people;
use crate::report::push;
use crate::shown::shown;

/// Where the text below a line begins.
const MARGIN: &str = "                  ";

/// The whole timeline.
pub(super) fn text(timeline: &Timeline) -> String {
    let stretch = [&timeline.from, &timeline.until].map(|at| local(at, timeline));
    let mut text = format!("{}\nclock from {} to {}\n\n", timeline.denominazione, stretch[0], stretch[1]);
    for entry in &timeline.entries {
        text.push_str(&line(entry, timeline));
        if let Some(message) = &entry.message {
            text.push_str(&letter(message, timeline));
        }
    }
    if timeline.armed.is_empty() {
        text.push_str("\nnothing stays armed\n");
    } else {
        text.push_str("\nstays armed:\n");
        for armed in &timeline.armed {
            let due = people(armed.instant, timeline.zone);
            push(&mut text, format_args!("{due}  {} ({})\n", armed.nome, shown(&armed.pratica)));
        }
    }
    text
}

fn line(entry: &Entry, timeline: &Timeline) -> String {
    let word = match entry.what {
        Kind::Event => "event",
        Kind::Duplicate => "repeated",
        Kind::Refused => "REFUSED",
        Kind::Armed => "armed",
        Kind::Moved => "moved",
        Kind::Sent => "message",
        Kind::Discarded => "discarded",
        Kind::Failed => "FAILED",
        Kind::Office => "office",
        Kind::Told => "told",
    };
    let mut parts = vec![entry.nome.clone()];
    match entry.what {
        Kind::Event | Kind::Duplicate | Kind::Refused => {
            parts.extend(entry.evento.as_deref().map(|id| format!("({})", shown(id))));
        }
        Kind::Armed | Kind::Moved => {
            parts.extend(entry.scadenza.as_deref().map(|at| format!("for {}", local(at, timeline))));
        }
        _ => {}
    }
    parts.extend(entry.message.as_ref().map(|message| message.livello.to_owned()));
    parts.extend(entry.motivo.as_deref().map(shown));
    parts.extend(entry.persona.map(|number| format!("[person {number}]")));
    parts.retain(|part| !part.is_empty());
    format!("{}  {word:<9} {}\n", people(entry.instant, timeline.zone), parts.join(" "))
}

/// A message's text, indented.
fn letter(message: &Message, timeline: &Timeline) -> String {
    let letter = super::letter::read(&message.markdown);
    let mut lines = vec![format!("«{}»", message.subject)];
    lines.extend(message.due_date.as_deref().map(|due| format!("due_date {due}, {}", local(due, timeline))));
    lines.extend(message.amount.map(|cents| format!("payment {},{:02} €", cents / 100, cents % 100)));
    lines.extend(message.allegato.as_deref().map(|id| format!("attached {}", shown(id))));
    lines.push(String::new());
    lines.extend(letter.body.lines().map(shown));
    lines.extend(letter.buttons.iter().map(|button| format!("[ {} ] {}", shown(&button.text), button.url)));
    lines.push(String::new());
    let indented =
        |line: &String| if line.is_empty() { "\n".to_owned() } else { format!("{MARGIN}{line}\n") };
    lines.iter().map(indented).collect()
}

/// An RFC 3339 instant in the ente's time, seconds where they are not zero.
fn local(at: &str, timeline: &Timeline) -> String {
    DateTime::parse_from_rfc3339(at).map(|at| people(at.to_utc(), timeline.zone)).unwrap_or_default()
}
