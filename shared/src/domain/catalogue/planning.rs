//! Message types, office timers, and the rules by which they are planned, as their files spell them.

use serde::Deserialize;

use super::doubt::InDubbio;
use super::model::{Dove, TipoCampo};

/// One message type, `messaggi/<id>.md`: this record as TOML between `+++` lines, then the text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messaggio {
    /// Identifier, the file's name.
    pub id: String,
    /// Number in the catalogue, for people.
    pub numero: u32,
    /// Where the text comes from.
    pub fonte: String,
    /// What the message is for, in English.
    pub significato: String,
    /// Phases of the service's life it belongs to.
    pub fase: Vec<String>,
    /// IO `subject`, 10 to 120 UTF-16 units; may branch on an enum.
    pub titolo: String,
    /// The button.
    #[serde(default)]
    pub pulsante: Option<Pulsante>,
    /// Premium kind.
    #[serde(default)]
    pub premium: Premium,
    /// The field that gives IO `due_date`: a date (23:59:59 local) or an instant.
    #[serde(default)]
    pub due_date: Option<String>,
    /// The message carries IO `payment_data` from `importo_centesimi` and `codice_avviso`.
    #[serde(default)]
    pub pagamento: bool,
    /// Who gets it.
    pub destinatari: String,
    /// When to send it, in the source's words.
    pub quando: String,
    /// The user story.
    pub user_story: String,
    /// Notes for whoever edits the text.
    #[serde(default)]
    pub note: String,
    /// Length of the shortest body that the text can give, in characters.
    pub corpo_minimo: u32,
    /// Policy when the outcome of a send is unknown; absent: the fleet's `io.in_doubt`.
    #[serde(default)]
    pub in_dubbio: Option<InDubbio>,
    /// Variables of text, title, button and payment.
    pub variabili: Vec<Variabile>,
    /// What leads to the message, when, and what undoes it.
    pub regola: Pianificazione,
    /// The text: Markdown with `{{ variabile }}` and `{% if %}`; set by the loader.
    #[serde(skip)]
    pub corpo: String,
}

/// One office timer, `timer/<id>.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// Identifier, the file's name: the `timer` of `ufficio.scadenza-maturata`.
    pub id: String,
    /// Code in the rules: `O1`.
    pub codice: String,
    /// What it tells the office.
    pub significato: String,
    /// Whether it runs unless the ente says otherwise.
    pub attivo: bool,
    /// What arms it, when it fires, and what undoes it.
    pub regola: Pianificazione,
}

/// When something is planned and what undoes it: the table `[regola]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pianificazione {
    /// The events that lead to it; the newest one of the thing counts.
    pub innesco: Vec<Innesco>,
    /// When it is due.
    pub momento: Momento,
    /// What undoes it.
    #[serde(default)]
    pub annullato_da: Vec<Annullamento>,
    /// While such a thing is ahead, what falls due is skipped.
    #[serde(default)]
    pub sospeso_da: Option<Sospensione>,
    /// What makes it superfluous.
    #[serde(default)]
    pub soppresso_da: Option<Soppressione>,
    /// The message it follows up: nothing is planned when that one was past its use already.
    #[serde(default)]
    pub segue: Option<String>,
}

/// An event that leads to a message or arms a timer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Innesco {
    /// Event type.
    pub evento: String,
    /// Only if the thing's fields say so.
    #[serde(default)]
    pub dove: Dove,
    /// Not if any of these holds.
    #[serde(default)]
    pub non_dove: Dove,
    /// Only if one of these fields of the thing changes.
    #[serde(default)]
    pub se_cambia: Vec<String>,
}

/// When something is due.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Momento {
    /// The date field it is reckoned from; absent: at once, when the event comes.
    #[serde(default)]
    pub ancora: Option<String>,
    /// Days added to the anchor to make the term.
    #[serde(default)]
    pub termine_giorni: i64,
    /// The field that, where present, replaces `termine_giorni`.
    #[serde(default)]
    pub termine_campo: Option<String>,
    /// Months added to the anchor to make the term.
    #[serde(default)]
    pub termine_mesi: i32,
    /// A term on a Sunday or holiday moves to the next working day (rules.md 1.4).
    #[serde(default)]
    pub sposta_festivi: bool,
    /// Days from the term at which it fires; one entry a firing, earliest first.
    #[serde(default)]
    pub scatti: Vec<i64>,
    /// The firings of a permit valid at most 6 months; one whose start is unknown has `scatti`.
    #[serde(default)]
    pub scatti_brevi: Vec<i64>,
    /// Local time of day `HH:MM`; the default is that of rules.md 1.2.
    #[serde(default = "ora_predefinita")]
    pub ora: String,
    /// On the very day of the term it fires when the event comes, whatever the hour.
    #[serde(default)]
    pub subito_se_oggi: bool,
    /// What happens when the event comes after the firing.
    #[serde(default)]
    pub in_ritardo: InRitardo,
    /// The field (date, to the end of that day, or instant) after which it is of no use.
    #[serde(default)]
    pub utile_fino_a: Option<String>,
    /// Fields that, when they change after the message went, make it a new message; the anchor always does.
    #[serde(default)]
    pub nuovo_se_cambia: Vec<String>,
}

fn ora_predefinita() -> String {
    "09:00".to_owned()
}

/// Late arming (rules.md 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InRitardo {
    /// It goes at once.
    #[default]
    Subito,
    /// It is skipped.
    Salta,
    /// Missed firings collapse into one, at once, if the next is more than 7 days away or none is left
    /// (contract.md 10.19).
    Uno,
}

/// Something that undoes what was planned.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annullamento {
    /// Event type.
    pub evento: String,
    /// Only if its fields say so.
    #[serde(default)]
    pub dove: Dove,
    /// Not if any of these holds.
    #[serde(default)]
    pub non_dove: Dove,
    /// It counts even if it happened before the event it undoes.
    #[serde(default)]
    pub anche_prima: bool,
    /// Compare two dates in place of the events' order: the first (of the undoing event) must not be
    /// before the second (of the thing).
    #[serde(default)]
    pub non_prima_di: Option<[String; 2]>,
    /// It no longer counts once one of these happens after it.
    #[serde(default)]
    pub salvo_poi: Vec<Eccezione>,
    /// `motivo` of `messaggio.scartato` for a message that was about to be planned.
    #[serde(default = "annullato")]
    pub motivo: String,
}

fn annullato() -> String {
    "annullato".to_owned()
}

/// An event that takes the effect of another away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eccezione {
    /// Event type.
    pub evento: String,
    /// Only if its fields say so.
    #[serde(default)]
    pub dove: Dove,
}

/// A thing that, while it is ahead, makes reminders superfluous.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sospensione {
    /// The thing, for example `appuntamento`.
    pub cosa: String,
    /// The event types that keep it alive; the newest event of the thing must be one of them.
    pub eventi: Vec<String>,
    /// Only if its fields say so.
    #[serde(default)]
    pub dove: Dove,
    /// The instant field up to which it suspends.
    pub fino_a: String,
}

/// Why a message is planned to be discarded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soppressione {
    /// `motivo` of `messaggio.scartato`.
    pub motivo: String,
    /// Suppressed if the thing's fields say so.
    #[serde(default)]
    pub dove: Dove,
    /// Suppressed if this message of the same thing goes out as Premium.
    #[serde(default)]
    pub premium_di: Option<String>,
}

/// The button of a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulsante {
    /// Label in Italian.
    pub it: String,
    /// Label in English.
    pub en: String,
    /// The url variable it opens; absent: the app makes it from `payment_data`.
    #[serde(default)]
    pub url: Option<String>,
}

/// Premium kind of a message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Premium {
    /// Always STANDARD.
    #[default]
    Nessuno,
    /// ADVANCED with `due_date`, contract `premium.promemoria`.
    PromemoriaAppuntamento,
    /// ADVANCED with `due_date` and `payment_data`, contract `premium.promemoria`.
    PromemoriaPagamento,
    /// ADVANCED with `third_party_data` when the event carries an attachment, contract `premium.allegati`.
    Allegato,
}

/// A variable of a message type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variabile {
    /// Name in the text.
    pub nome: String,
    /// Type.
    pub tipo: TipoCampo,
    /// Where its value comes from.
    pub origine: Origine,
    /// The values of an enum.
    #[serde(default)]
    pub valori: Vec<String>,
    /// The placeholder of the source text.
    #[serde(default)]
    pub segnaposto: String,
    /// Needed only when the message carries a Premium attachment.
    #[serde(default)]
    pub solo_con_allegato: bool,
    /// The variable whose value it takes where neither event nor ente gives one (contract.md 10.24).
    #[serde(default)]
    pub ripiego: Option<String>,
}

/// Where a variable's value comes from. Event data always win over the ente's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origine {
    /// A required or optional field of the event, or computed from one.
    Evento,
    /// The ente's configuration for the service, unless the event gives it.
    Ente,
    /// Computed by the fleet.
    Interna,
}
