//! What the templates show of a message.

use super::front_matter::{self, Action, Button, Language};
use super::{italian, markdown};
use crate::clock;
use crate::codec::{Level, NewMessage, Payment};
use crate::recipients;
use crate::state::{Status, Stored};
use chrono::{DateTime, Utc};
use minijinja::Value;
use serde::Serialize;
use std::time::Duration;

/// Characters of text in the list.
const SNIPPET: usize = 110;
/// Characters of text in IO's e-mail copy.
const EMAIL_PREVIEW: usize = 134;

/// The list page.
#[derive(Debug, Serialize)]
pub(super) struct ListView {
    pub(super) items: Vec<Item>,
    /// Address of the following page.
    pub(super) older: Option<String>,
    /// Messages received in all.
    pub(super) total: String,
    pub(super) codice_fiscale: String,
    pub(super) testo: String,
    /// The recipient searched for is no fiscal code.
    pub(super) is_malformed: bool,
    pub(super) is_first_page: bool,
    /// Simulated recipients: code and fate.
    pub(super) simulated: [(&'static str, &'static str); 7],
}

/// The simulated recipients, in Italian.
pub(super) const SIMULATED: [(&str, &str); 7] = [
    (recipients::ON_IO, "su IO, come chiunque altro"),
    (recipients::NOT_ON_IO, "non è su IO"),
    (recipients::SERVICE_BLOCKED, "ha bloccato il servizio"),
    (recipients::MANUAL_NOT_OPTED_IN, "attiva i servizi a mano, questo no"),
    (recipients::REJECTED, "accettato, poi rifiutato"),
    (recipients::FAILED, "accettato, poi fallito"),
    (recipients::SLOW, "consegna lenta: un minuto"),
];

/// Who sent a message.
#[derive(Debug, Serialize)]
pub(super) struct Sender {
    ente: String,
    servizio: String,
    /// First letters of the institution's name.
    initials: String,
    /// 0 to 5: which colour its mark has.
    tint: u32,
}

/// An instant, for readers and for machines.
#[derive(Debug, Serialize)]
pub(super) struct When {
    text: String,
    machine: String,
}

/// A small mark: what it says and how it looks.
#[derive(Debug, Serialize)]
pub(super) struct Badge {
    text: String,
    look: &'static str,
}

/// One row of the list.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    id: String,
    sender: Sender,
    subject: String,
    snippet: String,
    when: When,
    badges: Vec<Badge>,
    is_read: bool,
    fiscal_code: String,
}

/// The row of a message.
pub(super) fn item(stored: &Stored, processed_after: Duration) -> Item {
    let (message, now) = (&stored.message, clock::now());
    let letter = front_matter::read(message.markdown(), Language::It);
    let snippet =
        if letter.is_undecodable { String::new() } else { markdown::snippet(&letter.body, SNIPPET) };
    Item {
        id: stored.id.clone(),
        sender: sender(stored),
        subject: message.subject().to_owned(),
        snippet,
        when: When { text: italian::short(stored.received, now), machine: stored.received.to_rfc3339() },
        badges: badges(stored, processed_after, now),
        is_read: stored.is_read(),
        fiscal_code: stored.fiscal_code.clone(),
    }
}

/// The message page.
#[derive(Debug, Serialize)]
pub(super) struct MessageView {
    id: String,
    sender: Sender,
    subject: String,
    received: When,
    badges: Vec<Badge>,
    due: Option<Due>,
    /// Safe HTML; absent where the app shows its decoding alert.
    body: Option<Value>,
    payment: Option<PaymentBox>,
    attachment: Option<String>,
    buttons: Vec<ButtonView>,
    language: Language,
    /// For the writer.
    notes: Vec<String>,
    facts: Vec<(&'static str, String)>,
    fiscal_code: String,
}

#[derive(Debug, Serialize)]
struct Due {
    date: String,
    time: String,
    machine: String,
    is_past: bool,
}

#[derive(Debug, Serialize)]
struct PaymentBox {
    amount: String,
    notice_number: String,
    /// The digits without spaces, for assistive technology and copying.
    notice_digits: String,
    is_paid: bool,
}

#[derive(Debug, Serialize)]
struct ButtonView {
    text: String,
    /// Where it goes; absent for what only the app can do.
    href: Option<String>,
    is_unknown: bool,
}

/// The page of a message for a citizen who uses the app in `language`.
pub(super) fn message(stored: &Stored, language: Language, processed_after: Duration) -> MessageView {
    let (message, now) = (&stored.message, clock::now());
    let letter = front_matter::read(message.markdown(), language);
    let drawn = markdown::draw(&letter.body);
    let mut notes = letter.notes;
    if !letter.is_undecodable {
        notes.extend(drawn.notes.into_iter().map(str::to_owned));
    }
    MessageView {
        id: stored.id.clone(),
        sender: sender(stored),
        subject: message.subject().to_owned(),
        received: When {
            text: format!("{}, ore {}", italian::date(stored.received), italian::time(stored.received)),
            machine: stored.received.to_rfc3339(),
        },
        badges: kind_badges(stored, processed_after),
        due: message.due_date().map(|due| due_view(due, now)),
        body: (!letter.is_undecodable).then(|| Value::from_safe_string(drawn.html)),
        payment: message.payment().map(|payment| payment_view(&payment, stored.is_paid())),
        attachment: attachment(message),
        buttons: letter.buttons.into_iter().map(button_view).collect(),
        language,
        notes,
        facts: facts(stored, processed_after),
        fiscal_code: stored.fiscal_code.clone(),
    }
}

fn sender(stored: &Stored) -> Sender {
    let ente = &stored.service.ente;
    let is_small = |word: &&str| !matches!(*word, "di" | "del" | "della" | "dei" | "e");
    let initials = ente.split_whitespace().filter(is_small).filter_map(|word| word.chars().next());
    Sender {
        ente: ente.clone(),
        servizio: stored.service.nome.clone(),
        initials: initials.take(2).flat_map(char::to_uppercase).collect(),
        tint: ente.chars().fold(0_u32, |sum, c| sum.wrapping_mul(31).wrapping_add(u32::from(c))) % 6,
    }
}

/// The marks of a row: what the citizen must do, then what kind of message it is.
fn badges(stored: &Stored, processed_after: Duration, now: DateTime<Utc>) -> Vec<Badge> {
    let message = &stored.message;
    let due = message.due_date().map(|due| Badge {
        text: format!("{} {}", if due < now { "Scaduto il" } else { "Scade il" }, italian::date(due)),
        look: "scadenza",
    });
    let payment = message.payment().map(|payment| {
        if stored.is_paid() {
            badge("Pagato", "fatto")
        } else {
            Badge { text: format!("Da pagare {}", italian::euros(payment.amount)), look: "pagamento" }
        }
    });
    let attachment = message.has_attachments().then(|| badge("Allegato", "allegato"));
    let kind = kind_badges(stored, processed_after);
    [payment, due, attachment].into_iter().flatten().chain(kind).collect()
}

/// The marks that the message page has no box for: fate, Premium.
fn kind_badges(stored: &Stored, processed_after: Duration) -> Vec<Badge> {
    let status = match stored.status(processed_after) {
        Status::Processed => None,
        Status::Accepted => Some(badge("In consegna", "attesa")),
        Status::Rejected => Some(badge("Rifiutato: non arriva al cittadino", "errore")),
        Status::Failed => Some(badge("Consegna fallita", "errore")),
    };
    let premium = (stored.message.level() == Level::Advanced).then(|| badge("Premium", "premium"));
    [status, premium].into_iter().flatten().collect()
}

fn badge(text: &str, look: &'static str) -> Badge {
    Badge { text: text.to_owned(), look }
}

fn due_view(due: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    Due { date: italian::date(due), time: italian::time(due), machine: due.to_rfc3339(), is_past: due < now }
}

fn payment_view(payment: &Payment<'_>, is_paid: bool) -> PaymentBox {
    PaymentBox {
        amount: italian::euros(payment.amount),
        notice_number: italian::groups(payment.notice_number),
        notice_digits: payment.notice_number.to_owned(),
        is_paid,
    }
}

fn attachment(message: &NewMessage) -> Option<String> {
    let id = message.third_party_data()?.get("id")?.as_str()?;
    message.has_attachments().then(|| id.to_owned())
}

fn button_view(button: Button) -> ButtonView {
    let is_unknown = button.action == Action::Unknown;
    let href = match button.action {
        Action::Open(target) => Some(target),
        Action::InApp | Action::Unknown => None,
    };
    ButtonView { text: button.text, href, is_unknown }
}

/// What the writer wants to check, label and value.
fn facts(stored: &Stored, processed_after: Duration) -> Vec<(&'static str, String)> {
    let message = &stored.message;
    let length = |text: &str, most: &str| {
        let units = u64::try_from(text.encode_utf16().count()).unwrap_or(u64::MAX);
        format!("{} caratteri su {most}", italian::thousands(units))
    };
    let status = match stored.status(processed_after) {
        Status::Accepted => "ACCEPTED",
        Status::Processed => "PROCESSED",
        Status::Rejected => "REJECTED",
        Status::Failed => "FAILED",
    };
    let is_secure = message.content().get("require_secure_channels").is_some_and(|flag| flag == true);
    let email = if is_secure {
        "nessuna (canali sicuri)".to_owned()
    } else {
        let tail = message.markdown().rsplit("---").next().unwrap_or_default();
        markdown::snippet(tail, EMAIL_PREVIEW)
    };
    vec![
        ("Stato", status.to_owned()),
        ("Titolo", length(message.subject(), "120")),
        ("Testo", length(message.markdown(), "10.000")),
        ("Copia e-mail", email),
        ("Identificativo", stored.id.clone()),
    ]
}
