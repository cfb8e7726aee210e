//! The timeline as one page for browser and printer: no script, nothing from elsewhere. In Italian: it is
//! for those who answer for the texts.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use super::letter;
use super::timeline::{Entry, Kind, Message, Timeline};
use crate::instant::people;
use crate::report::Failure;

const TEMPLATE: &str = include_str!("../../templates/simulate.html");
const STYLE: &str = include_str!("../../templates/simulate.css");

/// The page.
pub(super) fn page(timeline: &Timeline) -> Result<String, Failure> {
    let fault = |error: minijinja::Error| {
        Failure::fault(format!("--html: the page cannot be made: {:?}", error.kind()))
    };
    let mut environment = Environment::new();
    // A name that ends in .html has its values escaped.
    environment.add_template("simulate.html", TEMPLATE).map_err(fault)?;
    let style = Value::from_safe_string(STYLE.to_owned());
    let view = Value::from(Serde(View::of(timeline)));
    environment
        .get_template("simulate.html")
        .and_then(|it| it.render(context! { style, view }))
        .map_err(fault)
}

#[derive(Serialize)]
struct View {
    denominazione: String,
    ente: String,
    from: String,
    until: String,
    events: usize,
    sent: usize,
    discarded: usize,
    office: usize,
    /// Recipients met.
    persons: usize,
    days: Vec<Day>,
    armed: Vec<ArmedView>,
}

#[derive(Serialize)]
struct Day {
    /// `giovedì 1 aprile 2027`.
    date: String,
    iso: String,
    /// Days since the one before; none for the first.
    gap: Option<i64>,
    rows: Vec<Row>,
}

/// What happened at one instant: what the office did and was told on one side, what citizens got on the
/// other.
#[derive(Serialize, Default)]
struct Row {
    time: String,
    office: Vec<Note>,
    citizen: Vec<Note>,
}

#[derive(Serialize)]
struct Note {
    kind: Kind,
    nome: String,
    titolo: String,
    pratica: Option<String>,
    evento: Option<String>,
    persona: Option<usize>,
    scadenza: Option<String>,
    motivo: Option<String>,
    card: Option<Card>,
}

/// A message as a phone shows it.
#[derive(Serialize)]
struct Card {
    servizio: String,
    subject: String,
    is_premium: bool,
    /// `30/06/2027 23:59`.
    due: Option<String>,
    /// `310,50 €`.
    amount: Option<String>,
    allegato: Option<String>,
    /// Safe HTML.
    body: Value,
    buttons: Vec<(String, String)>,
}

#[derive(Serialize)]
struct ArmedView {
    scadenza: String,
    nome: String,
    titolo: String,
    pratica: String,
}

impl View {
    fn of(timeline: &Timeline) -> Self {
        let zone = timeline.zone;
        let count = |kind| timeline.entries.iter().filter(|entry| entry.what == kind).count();
        let armed = timeline.armed.iter().map(|armed| ArmedView {
            scadenza: people(armed.instant, zone),
            nome: armed.nome.clone(),
            titolo: armed.titolo.clone(),
            pratica: armed.pratica.clone(),
        });
        Self {
            denominazione: timeline.denominazione.clone(),
            ente: timeline.ente.clone(),
            from: local(&timeline.from, zone).unwrap_or_default(),
            until: local(&timeline.until, zone).unwrap_or_default(),
            events: count(Kind::Event),
            sent: count(Kind::Sent),
            discarded: count(Kind::Discarded),
            office: count(Kind::Office),
            persons: timeline.entries.iter().filter_map(|entry| entry.persona).max().unwrap_or(0),
            days: days(&timeline.entries, zone),
            armed: armed.collect(),
        }
    }
}

fn days(entries: &[Entry], zone: Tz) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    let (mut last_date, mut last): (Option<NaiveDate>, Option<DateTime<Utc>>) = (None, None);
    for entry in entries {
        let local = entry.instant.with_timezone(&zone);
        let date = local.date_naive();
        if last_date != Some(date) {
            let gap = last_date.map(|before| (date - before).num_days());
            days.push(Day { date: in_words(date), iso: date.to_string(), gap, rows: Vec::new() });
            last = None;
        }
        let Some(day) = days.last_mut() else { continue };
        // A new event begins a row of its own: what follows from it stays with it.
        let begins = matches!(entry.what, Kind::Event | Kind::Duplicate | Kind::Refused);
        if last != Some(entry.instant) || begins {
            day.rows.push(Row { time: local.format("%H:%M").to_string(), ..Row::default() });
        }
        (last_date, last) = (Some(date), Some(entry.instant));
        let Some(row) = day.rows.last_mut() else { continue };
        let side = match entry.what {
            Kind::Sent | Kind::Discarded | Kind::Failed if !entry.is_timer => &mut row.citizen,
            _ => &mut row.office,
        };
        side.push(note(entry, zone));
    }
    days
}

fn note(entry: &Entry, zone: Tz) -> Note {
    Note {
        kind: entry.what,
        nome: entry.nome.clone(),
        titolo: entry.titolo.clone(),
        pratica: entry.pratica.clone(),
        evento: entry.evento.clone(),
        persona: entry.persona,
        scadenza: entry.scadenza.as_deref().and_then(|at| local(at, zone)),
        motivo: entry.motivo.as_deref().map(|motivo| reason(entry.what, motivo)),
        card: entry.message.as_ref().map(|message| card(message, zone)),
    }
}

/// `scadenza-passata` as words; what an event or a text was refused for stays as it is.
fn reason(kind: Kind, motivo: &str) -> String {
    if kind == Kind::Discarded { motivo.replace('-', " ") } else { motivo.to_owned() }
}

fn card(message: &Message, zone: Tz) -> Card {
    let letter = letter::read(&message.markdown);
    Card {
        servizio: message.nome_servizio.clone(),
        subject: message.subject.clone(),
        is_premium: message.livello == "ADVANCED",
        due: message.due_date.as_deref().and_then(|due| local(due, zone)),
        amount: message.amount.map(|cents| format!("{},{:02} €", cents / 100, cents % 100)),
        allegato: message.allegato.clone(),
        body: Value::from_safe_string(letter::html(letter.body)),
        buttons: letter.buttons.into_iter().map(|button| (button.text, button.url)).collect(),
    }
}

fn local(at: &str, zone: Tz) -> Option<String> {
    Some(people(DateTime::parse_from_rfc3339(at).ok()?.to_utc(), zone))
}

/// `giovedì 1 aprile 2027`.
fn in_words(date: NaiveDate) -> String {
    const DAYS: [&str; 7] = ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"];
    const MONTHS: [&str; 12] = [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ];
    let day = DAYS[date.weekday().num_days_from_monday() as usize];
    let month = MONTHS[date.month0() as usize];
    let number = if date.day() == 1 { "1º".to_owned() } else { date.day().to_string() };
    format!("{day} {number} {month} {}", date.year())
}
