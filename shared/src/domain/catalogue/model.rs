//! The records of the catalogue, as its files spell them.
//!
//! Field names are the keys of the files, Italian as the texts they describe. Loading and checking is
//! `load.rs`; nothing here reads a file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::planning::Annullamento;

/// A value that a `dove` clause compares an event's field with: one value, or any of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Atteso {
    /// A boolean field.
    Bool(bool),
    /// A text or enum field.
    Testo(String),
    /// Any of these texts.
    Uno(Vec<String>),
}

/// Conditions on the fields of an event: all must hold. A field that is absent satisfies none.
pub type Dove = BTreeMap<String, Atteso>;

/// The service sheet, `servizio.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servizio {
    /// Identifier, the folder's name: `permesso-soggiorno`.
    pub id: String,
    /// Name shown by the IO app.
    pub nome: String,
    /// Topic of the IO service sheet.
    pub argomento: String,
    /// Description of the IO service sheet.
    pub descrizione: String,
    /// Button of the IO service sheet.
    pub pulsante: String,
    /// `require_secure_channels` of each message (contract.md 10.18).
    #[serde(default = "vero")]
    pub canale_sicuro: bool,
    /// Phases of the service's life, in order.
    #[serde(default)]
    pub ciclo_di_vita: Vec<String>,
    /// Events that close the case: whatever is pending and older is cancelled.
    #[serde(default)]
    pub chiude: Vec<Annullamento>,
}

fn vero() -> bool {
    true
}

/// One inbound event type of a service, `eventi/<tipo>.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TipoEvento {
    /// CloudEvents `type`, for example `permesso.rinnovato`.
    pub tipo: String,
    /// What happened, one sentence.
    pub descrizione: String,
    /// What the fleet does, one sentence.
    pub effetto: String,
    /// The thing the event speaks of, for example `permesso` or `appuntamento`.
    pub cosa: String,
    /// Fields that tell two such things of one case apart, for example `id_appuntamento`.
    #[serde(default)]
    pub identita: Vec<String>,
    /// The event changes some fields of the thing and leaves the others as they are.
    #[serde(default)]
    pub modifica: bool,
    /// The event goes to each of `data.destinatari` and carries no `codice_fiscale`.
    #[serde(default)]
    pub lista: bool,
    /// The person must be of age at the event's time, as the fiscal code tells it (rules.md R004-4).
    #[serde(default)]
    pub maggiorenne: bool,
    /// Effect beyond the case: on other cases of the same persons.
    #[serde(default)]
    pub persona: Option<Persona>,
    /// Fields of `data`.
    #[serde(default)]
    pub campi: Vec<Campo>,
    /// Groups of fields of which at least one must be given.
    #[serde(default)]
    pub almeno_uno: Vec<Vec<String>>,
    /// Fields required only when others have a value.
    #[serde(default)]
    pub richiesti_se: Vec<RichiestiSe>,
    /// Pairs of date fields: the first must not be after the second.
    #[serde(default)]
    pub in_ordine: Vec<[String; 2]>,
    /// Fields computed from the others, in this order, where the event does not give them.
    #[serde(default)]
    pub derivati: Vec<Derivato>,
}

/// The effect of an event on the other cases of a person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// Only if the event's fields say so.
    #[serde(default)]
    pub dove: Dove,
    /// A field with the fiscal codes concerned; absent: the event's own person.
    #[serde(default)]
    pub campo: Option<String>,
    /// Cases of every service of the ente, not of the event's alone.
    #[serde(default)]
    pub tutti_i_servizi: bool,
}

/// A conditional requirement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RichiestiSe {
    /// The condition.
    pub dove: Dove,
    /// The fields it makes required.
    pub campi: Vec<String>,
}

/// One field of an event's `data`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campo {
    /// Key in `data`.
    pub nome: String,
    /// Type and form.
    pub tipo: TipoCampo,
    /// Whether the event is refused without it.
    #[serde(default)]
    pub obbligatorio: bool,
    /// The values of an enum.
    #[serde(default)]
    pub valori: Vec<String>,
    /// What it is, for the docs.
    #[serde(default)]
    pub descrizione: String,
    /// A good value as text, for the docs' example events; fiscal codes have one of their own.
    #[serde(default)]
    pub esempio: String,
}

/// Type of a field or of a template variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TipoCampo {
    /// ISO date `YYYY-MM-DD`, printed `gg/mm/aaaa`.
    Data,
    /// RFC 3339 instant with offset.
    Istante,
    /// Local time of day `HH:MM`, derived from an instant.
    Ora,
    /// Text, 1 to 1,000 characters; Markdown-escaped when printed.
    Testo,
    /// Absolute `https` URL, at most 2,048 characters.
    Url,
    /// One of `valori`.
    Enum,
    /// `true` or `false`.
    Bool,
    /// Integer, 0 to 9,999,999,999.
    Intero,
    /// Money printed `1.234,56`, derived from integer cents.
    Importo,
    /// Integer cents, 1 to 9,999,999,999 (IO `payment_data.amount`).
    Centesimi,
    /// pagoPA notice number: `^[0123][0-9]{17}$`.
    CodiceAvviso,
    /// A code of the permit titles of `permits.json`.
    TitoloPermesso,
    /// A fiscal code of a natural person.
    CodiceFiscale,
    /// 1 to 500 fiscal codes, a repeated one counted once.
    CodiciFiscali,
    /// Identifier of a document of the ente, 1 to 128 characters.
    Allegato,
}

/// A computed field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivato {
    /// The field it fills.
    pub nome: String,
    /// How.
    pub regola: Regola,
    /// The field it is computed from, where the rule needs one.
    #[serde(default)]
    pub da: Option<String>,
    /// The constant, for [`Regola::Costante`].
    #[serde(default)]
    pub valore: Option<String>,
    /// Days to add, for [`Regola::Somma`].
    #[serde(default)]
    pub giorni: i64,
    /// Months to add, for [`Regola::Somma`].
    #[serde(default)]
    pub mesi: i32,
}

/// How a field is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regola {
    /// Always `valore`.
    Costante,
    /// The local date of the event's `time`.
    DataEvento,
    /// The local date of the instant `da`.
    DataLocale,
    /// The local time of day of the instant `da`.
    OraLocale,
    /// The date `da` plus `mesi` and `giorni`.
    Somma,
    /// Integer cents `da` as money.
    Importo,
    /// Expiry of a permit from `data_rilascio` and the length that `lungo_periodo`,
    /// `minorenne_al_rilascio` or the permit title fixes (rules.md R002-2, R003-22, R003-28).
    ScadenzaPermesso,
}
