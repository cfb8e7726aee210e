//! The values of a message's variables: found, checked by type, put in the form that is printed.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use minijinja::Value;
use minijinja::value::Object;

use super::compile::is_internal;
use super::error::RenderError;
use super::link;
use super::plain::plain;
use crate::domain::catalogue::{TipoCampo, Variabile};
use crate::domain::ente::{Ente, ServizioEnte};
use crate::domain::{Field, Fields};

/// The one variable that is computed here: the message carries an attachment.
const ALLEGATO_PREMIUM: &str = "allegato_premium";
/// Characters of one value: no more than IO takes for the whole message.
const LONGEST: usize = 10_000;

/// Where values come from, in order: the event, the ente's variables for the permit title, the ente's for
/// the service, the ente itself.
pub(super) struct Sources<'a> {
    campi: &'a Fields,
    ente: &'a Ente,
    servizio: &'a ServizioEnte,
}

/// A value as it was found.
enum Raw<'a> {
    Event(&'a Field),
    Ente(&'a str),
}

impl<'a> Sources<'a> {
    /// The sources of one message.
    pub(super) fn new(campi: &'a Fields, ente: &'a Ente, servizio: &'a ServizioEnte) -> Self {
        Self { campi, ente, servizio }
    }

    fn find(&self, name: &str) -> Option<Raw<'a>> {
        if let Some(field) = self.campi.get(name) {
            return Some(Raw::Event(field));
        }
        let permit = self.campi.get("tipo_permesso").and_then(Field::text);
        permit
            .and_then(|code| self.servizio.variabili_per_permesso.get(code)?.get(name))
            .or_else(|| self.servizio.variabili.get(name))
            .map(String::as_str)
            .or_else(|| (name == "comune").then_some(self.ente.comune.as_str()))
            .map(Raw::Ente)
    }

    /// A field of the event or a variable, as text, for a placeholder of a url.
    fn segment(&self, name: &str) -> Option<String> {
        match self.find(name)? {
            Raw::Event(Field::Int(n)) => Some(n.to_string()),
            Raw::Event(field) => field.text().map(plain),
            Raw::Ente(text) => Some(plain(text)),
        }
    }
}

impl<'a> Raw<'a> {
    fn text(&self) -> Option<&'a str> {
        match self {
            Self::Event(field) => field.text(),
            Self::Ente(text) => Some(text),
        }
    }

    fn int(&self) -> Option<i64> {
        match self {
            Self::Event(field) => field.int(),
            Self::Ente(text) => text.parse().ok(),
        }
    }

    fn bool(&self) -> Option<bool> {
        match self {
            Self::Event(field) => field.bool(),
            Self::Ente(text) => text.parse().ok(),
        }
    }
}

/// The values of one message, by name. A handful: they are sought one after the other.
#[derive(Debug)]
pub(super) struct Values(Vec<(String, Value)>);

impl Values {
    /// The values of all variables that the message needs.
    pub(super) fn collect(
        variabili: &[Variabile],
        sources: &Sources<'_>,
        with_attachment: bool,
    ) -> Result<Self, RenderError> {
        let mut values = Vec::with_capacity(variabili.len());
        for variabile in variabili.iter().filter(|v| with_attachment || !v.solo_con_allegato) {
            let value = if is_internal(variabile) {
                internal(&variabile.nome, with_attachment)?
            } else {
                found(variabile, sources)?
            };
            values.push((variabile.nome.clone(), value));
        }
        Ok(Self(values))
    }

    /// The value of that name, where it is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name)?.1.as_str()
    }

    /// As the engine takes them.
    pub(super) fn into_value(self: Arc<Self>) -> Value {
        Value::from_dyn_object(self)
    }
}

impl Object for Values {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }
}

fn internal(name: &str, with_attachment: bool) -> Result<Value, RenderError> {
    if name == ALLEGATO_PREMIUM {
        Ok(Value::from(with_attachment))
    } else {
        Err(RenderError::variable(name, "is internal, yet nothing computes it"))
    }
}

/// A variable's value by its type, or that of its substitute.
fn found(variabile: &Variabile, sources: &Sources<'_>) -> Result<Value, RenderError> {
    let name = variabile.nome.as_str();
    let raw = sources
        .find(name)
        .or_else(|| sources.find(variabile.ripiego.as_deref()?))
        .ok_or_else(|| RenderError::variable(name, "is missing: neither the event nor the ente gives it"))?;
    let fault = |reason| RenderError::variable(name, reason);
    let text = || raw.text().ok_or_else(|| fault("is no text"));
    Ok(match variabile.tipo {
        TipoCampo::Data => safe(date(text()?).ok_or_else(|| fault("is no date (YYYY-MM-DD)"))?),
        TipoCampo::Istante => {
            let at = instant(text()?, sources.ente.fuso);
            safe(at.ok_or_else(|| fault("is no instant (RFC 3339)"))?)
        }
        TipoCampo::Ora => safe(time(text()?).ok_or_else(|| fault("is no time of day (HH:MM)"))?),
        TipoCampo::Url => safe(url(name, &raw, sources)?),
        TipoCampo::Importo => {
            let money = text()?;
            safe(is_money(money).then(|| money.to_owned()).ok_or_else(|| fault("is no amount (1.234,56)"))?)
        }
        TipoCampo::CodiceAvviso => {
            let notice = text()?;
            let good = notice.len() == 18 && notice.bytes().all(|b| b.is_ascii_digit());
            safe(good.then(|| notice.to_owned()).ok_or_else(|| fault("is no notice number of 18 digits"))?)
        }
        TipoCampo::Enum => {
            let word = text()?;
            let known = variabile.valori.is_empty() || variabile.valori.iter().any(|value| value == word);
            Value::from(known.then_some(word).ok_or_else(|| fault("has none of its values"))?)
        }
        TipoCampo::Bool => Value::from(raw.bool().ok_or_else(|| fault("is neither true nor false"))?),
        TipoCampo::Intero => safe(raw.int().ok_or_else(|| fault("is no integer"))?.to_string()),
        TipoCampo::Centesimi => Value::from(raw.int().ok_or_else(|| fault("is no integer"))?),
        TipoCampo::Testo
        | TipoCampo::TitoloPermesso
        | TipoCampo::CodiceFiscale
        | TipoCampo::CodiciFiscali
        | TipoCampo::Allegato => Value::from(line(name, text()?)?),
    })
}

/// A value whose form needs no escaping.
fn safe(text: String) -> Value {
    Value::from_safe_string(text)
}

/// A text on one line, neither empty nor too long.
fn line(name: &str, text: &str) -> Result<String, RenderError> {
    let line = plain(text);
    match line.chars().count() {
        0 => Err(RenderError::variable(name, "shows nothing: it is empty or has only invisible characters")),
        count if count > LONGEST => Err(RenderError::variable(name, "is longer than a whole message")),
        _ => Ok(line),
    }
}

/// A url: an ente's pattern is filled first.
fn url(name: &str, raw: &Raw<'_>, sources: &Sources<'_>) -> Result<String, RenderError> {
    let text = raw.text().ok_or_else(|| RenderError::url(name, "is no text"))?;
    let checked = match raw {
        Raw::Event(_) => link::checked(text),
        Raw::Ente(_) => {
            let filled = link::fill(text, |field| sources.segment(field))
                .map_err(|(field, fault)| RenderError::url(name, &format!("{fault} (`{field}`)")))?;
            link::checked(&filled)
        }
    };
    checked.map_err(|fault| RenderError::url(name, fault))
}

/// `2027-06-30` as `30/06/2027`.
fn date(text: &str) -> Option<String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.format("%d/%m/%Y").to_string())
}

/// An instant as `30/06/2027 10:30`, local.
fn instant(text: &str, zone: Tz) -> Option<String> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.with_timezone(&zone).format("%d/%m/%Y %H:%M").to_string())
}

/// `10:30` as it is.
fn time(text: &str) -> Option<String> {
    let at = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
    Some(at.format("%H:%M").to_string())
}

/// `1.234,56`: thousands with dots, two decimals.
fn is_money(text: &str) -> bool {
    let Some((whole, cents)) = text.split_once(',') else { return false };
    let mut groups = whole.split('.');
    let first = groups.next().unwrap_or_default();
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    digits(first)
        && matches!(first.len(), 1..=3)
        && groups.all(|group| group.len() == 3 && digits(group))
        && cents.len() == 2
        && digits(cents)
}

#[cfg(test)]
mod tests {
    use super::is_money;

    #[test]
    fn money_has_one_form() {
        for good in ["0,01", "25,00", "310,50", "1.234,56", "99.999.999,99"] {
            assert!(is_money(good), "{good}");
        }
        for bad in ["", ",50", "1234,56", "1.23,00", "1,5", "1.234", "-1,00", "1,00 "] {
            assert!(!is_money(bad), "{bad}");
        }
    }
}
