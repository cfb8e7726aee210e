//! Fields computed from the fields that an event gives.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::calendar::{Calendar, add};
use crate::domain::catalogue::{Derivato, Regola, TipoEvento};
use crate::domain::fields::{Field, Fields};
use crate::domain::permits::Permits;

/// The fields given and the derived ones: in the type's order, each only where it is not given and can be
/// computed. Dates are ISO, the time of day is `HH:MM`, money is as texts print it.
#[must_use]
pub fn derive(
    fields: &Fields,
    tipo: &TipoEvento,
    time: DateTime<Utc>,
    calendar: &Calendar<'_>,
    permits: &Permits,
) -> Fields {
    let mut all = fields.clone();
    for derivato in &tipo.derivati {
        if all.contains_key(&derivato.nome) {
            continue;
        }
        if let Some(text) = compute(derivato, &all, time, calendar, permits) {
            all.insert(derivato.nome.clone(), Field::Text(text));
        }
    }
    all
}

fn compute(
    derivato: &Derivato,
    fields: &Fields,
    time: DateTime<Utc>,
    calendar: &Calendar<'_>,
    permits: &Permits,
) -> Option<String> {
    let from = derivato.da.as_ref().and_then(|da| fields.get(da));
    match derivato.regola {
        Regola::Costante => derivato.valore.clone(),
        Regola::DataEvento => Some(iso(calendar.date(time))),
        Regola::DataLocale => Some(iso(calendar.date(from?.instant()?))),
        Regola::OraLocale => Some(calendar.time(from?.instant()?).format("%H:%M").to_string()),
        Regola::Somma => add(from?.date()?, derivato.mesi, derivato.giorni).map(iso),
        Regola::Importo => Some(money(from?.int()?)),
        Regola::ScadenzaPermesso => {
            let yes = |name: &str| fields.get(name).and_then(Field::bool).unwrap_or(false);
            let code = fields.get("tipo_permesso").and_then(Field::text);
            let months = permits.months(code, yes("lungo_periodo"), yes("minorenne_al_rilascio"))?;
            add(from?.date()?, months, 0).map(iso)
        }
    }
}

fn iso(day: NaiveDate) -> String {
    day.format("%Y-%m-%d").to_string()
}

/// Cents as the texts print them: `123456` is `1.234,56`.
#[must_use]
pub fn money(cents: i64) -> String {
    let euros = (cents / 100).to_string();
    let mut text = String::new();
    for (place, digit) in euros.chars().enumerate() {
        if place > 0 && (euros.len() - place).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    format!("{text},{:02}", cents % 100)
}
