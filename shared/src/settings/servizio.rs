//! Reads what an ente says of one service: keys, variables, message types, office timers.

use chrono::NaiveTime;
use secrecy::{ExposeSecret, SecretString};

use super::reader::{Parsed, Raw, Section};
use super::{kinds, secret};
use crate::domain::catalogue::{InDubbio, Pulsante};
use crate::domain::ente::{MessaggioEnte, ServizioEnte, TimerEnte};

/// The farthest reminder or term, in days: ten years.
const FARTHEST: i64 = 3653;
/// The longest text of an ente's own message, in characters: what IO takes of Markdown.
const LONGEST_TEXT: usize = 10_000;

/// Reads `[servizi.<name>]`.
pub(super) fn read(_name: &str, section: &mut Section) -> ServizioEnte {
    let chiave = secret::require(section, "chiave");
    check_key(section, "chiave", &chiave);
    let chiave_secondaria = secret::take(section, "chiave_secondaria");
    if let Some(key) = &chiave_secondaria {
        check_key(section, "chiave_secondaria", key);
    }
    ServizioEnte {
        chiave,
        chiave_secondaria,
        configurazione_remota: section.opt("configurazione_remota", kinds::checked(check_ulid)),
        canale_sicuro: section.opt("canale_sicuro", kinds::flag),
        variabili: section.map("variabili", kinds::text),
        variabili_per_permesso: section
            .table("variabili_per_permesso", per_permit(|section, code| section.map(code, kinds::text)))
            .unwrap_or_default(),
        messaggi: section.tables("messaggi", |_, section| messaggio(section)),
        timer: section.tables("timer", |_, section| timer(section)),
    }
}

/// Reads a table whose keys are permit codes.
fn per_permit<T>(
    read: impl Fn(&mut Section, &str) -> T,
) -> impl FnOnce(&mut Section) -> std::collections::BTreeMap<String, T> {
    move |section| section.names().into_iter().map(|code| (code.clone(), read(section, &code))).collect()
}

/// A key travels in an HTTP header.
fn check_key(section: &mut Section, key: &str, value: &SecretString) {
    let text = value.expose_secret();
    if text.len() > 256 || !text.chars().all(|c| c.is_ascii_graphic()) {
        section.fault(key, "must be at most 256 visible ASCII characters without spaces");
    }
}

/// 26 digits of Crockford's base 32 (io-api.md section 3, `configuration_id`).
fn check_ulid(text: &str) -> Result<(), &'static str> {
    let digit = |c: char| c.is_ascii_alphanumeric() && !"ILOUilou".contains(c);
    if text.len() == 26 && text.chars().all(digit) { Ok(()) } else { Err("must be a ULID of 26 characters") }
}

fn messaggio(section: &mut Section) -> MessaggioEnte {
    MessaggioEnte {
        attivo: section.opt("attivo", kinds::flag),
        giorni_prima: section.opt("giorni_prima", days()),
        giorni_prima_per_permesso: section.map("giorni_prima_per_permesso", days()),
        ora: ora(section),
        in_dubbio: section.opt("in_dubbio", kinds::one_of(&InDubbio::ALL)),
        titolo: section.opt("titolo", kinds::text),
        corpo: modello(section),
        pulsante: section.table("pulsante", pulsante),
    }
}

fn days() -> impl Fn(Raw) -> Parsed<Vec<i64>> {
    kinds::list(kinds::integer(0..=FARTHEST))
}

fn ora(section: &mut Section) -> Option<NaiveTime> {
    section.opt("ora", kinds::time_of_day)
}

/// The ente's own text, from a file; exactly one final line break is taken off, as in the catalogue.
fn modello(section: &mut Section) -> Option<String> {
    let path = section.opt("modello", kinds::path)?;
    let text = section.read_file("modello", &path)?.replace("\r\n", "\n");
    let body = text.strip_suffix('\n').unwrap_or(&text);
    if body.trim().is_empty() || body.chars().count() > LONGEST_TEXT {
        section.fault("modello", format!("the text must have 1 to {LONGEST_TEXT} characters"));
    }
    Some(body.to_owned())
}

fn pulsante(section: &mut Section) -> Pulsante {
    Pulsante {
        it: section.get("it", kinds::text),
        en: section.get("en", kinds::text),
        url: section.opt("url", kinds::text),
    }
}

fn timer(section: &mut Section) -> TimerEnte {
    TimerEnte {
        attivo: section.opt("attivo", kinds::flag),
        giorni: section.opt("giorni", kinds::integer(1..=FARTHEST)),
        ora: ora(section),
    }
}
