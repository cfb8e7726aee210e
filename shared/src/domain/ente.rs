//! One ente (a tenant), as the fleet uses it. The files are read by `settings`.

use std::collections::BTreeMap;

use chrono::NaiveTime;
use chrono_tz::Tz;
use secrecy::SecretString;

use super::calendar::{Calendar, Holidays};
use super::catalogue::{InDubbio, Pulsante};

/// A public body and its choices (contract.md section 3).
#[derive(Debug, Clone)]
pub struct Ente {
    /// Identifier, the first word of its routing keys.
    pub id: String,
    /// Full name.
    pub denominazione: String,
    /// Municipality, the template variable `comune`.
    pub comune: String,
    /// Zone of its calendar.
    pub fuso: Tz,
    /// Its own holidays as (month, day).
    pub festivita_locali: Vec<(u32, u32)>,
    /// The IO account.
    pub io: IoAccount,
    /// Premium contract.
    pub premium: ContrattoPremium,
    /// Services it runs, by id.
    pub servizi: BTreeMap<String, ServizioEnte>,
}

/// The institution's account on IO. Enti that share it share one rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoAccount {
    /// Name of the account.
    pub account: String,
    /// Calls in any 5 seconds; 0 is no limit (io-api.md section 5).
    pub calls_per_5s: u32,
}

/// What the ente's Premium contract covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContrattoPremium {
    /// Reminders: ADVANCED with `due_date`.
    pub promemoria: bool,
    /// Attachments.
    pub allegati: bool,
    /// Our own reminder goes too (rules.md X8).
    pub promemoria_anche_con_premium: bool,
}

/// A service of an ente.
#[derive(Debug, Clone, Default)]
pub struct ServizioEnte {
    /// Primary IO key of the service.
    pub chiave: SecretString,
    /// Secondary IO key, tried once on 401.
    pub chiave_secondaria: Option<SecretString>,
    /// `third_party_data.configuration_id`.
    pub configurazione_remota: Option<String>,
    /// `require_secure_channels`, where the ente departs from the service's.
    pub canale_sicuro: Option<bool>,
    /// Template variables.
    pub variabili: BTreeMap<String, String>,
    /// Template variables by permit code, which win over `variabili` (rules.md X5).
    pub variabili_per_permesso: BTreeMap<String, BTreeMap<String, String>>,
    /// Choices by message type.
    pub messaggi: BTreeMap<String, MessaggioEnte>,
    /// Choices by office timer.
    pub timer: BTreeMap<String, TimerEnte>,
}

/// An ente's choices for a message type.
#[derive(Debug, Clone, Default)]
pub struct MessaggioEnte {
    /// `false` switches it off.
    pub attivo: Option<bool>,
    /// Days before the anchor at which reminders go, in place of the catalogue's.
    pub giorni_prima: Option<Vec<i64>>,
    /// The same by permit code.
    pub giorni_prima_per_permesso: BTreeMap<String, Vec<i64>>,
    /// Local time of day in place of the catalogue's.
    pub ora: Option<NaiveTime>,
    /// Policy for unknown outcomes.
    pub in_dubbio: Option<InDubbio>,
    /// The ente's own title.
    pub titolo: Option<String>,
    /// The ente's own text.
    pub corpo: Option<String>,
    /// The ente's own button labels.
    pub pulsante: Option<Pulsante>,
}

/// An ente's choices for an office timer.
#[derive(Debug, Clone, Default)]
pub struct TimerEnte {
    /// On or off.
    pub attivo: Option<bool>,
    /// Days of the term in place of the catalogue's.
    pub giorni: Option<i64>,
    /// Local time of day in place of the catalogue's.
    pub ora: Option<NaiveTime>,
}

impl Ente {
    /// The ente's calendar on the national holidays given.
    #[must_use]
    pub fn calendario<'a>(&'a self, holidays: &'a Holidays) -> Calendar<'a> {
        Calendar { zone: self.fuso, holidays, local: &self.festivita_locali }
    }
}
