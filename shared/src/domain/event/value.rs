//! One value of `data` against its type.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use serde_json::Value;
use url::{Host, Url};

use super::refusal::{RefusalCode, Wrong};
use crate::domain::FiscalCode;
use crate::domain::catalogue::{Campo, TipoCampo};
use crate::domain::fields::Field;
use crate::domain::permits::Permits;

/// Longest text, characters.
const LONGEST_TEXT: usize = 1000;
/// Longest url, characters.
const LONGEST_URL: usize = 2048;
/// Longest document id, characters (contract.md 10.12).
const LONGEST_ATTACHMENT: usize = 128;
/// Largest integer: IO's largest amount in cents (IO `OpenAPI`, `PaymentDataBase`).
const LARGEST: i64 = 9_999_999_999;
/// Years of a date: permits of people born in the last century, contracts of the next.
const DATE_YEARS: std::ops::RangeInclusive<i32> = 1900..=2200;
/// Years of an instant: when something happened or is to happen.
const INSTANT_YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;
/// Most fiscal codes in one event (contract.md 10.10).
const MOST_CODES: usize = 500;

/// Why a value is none of a field's, or `None` if it is one.
#[must_use]
pub fn field_fault(campo: &Campo, value: &Value, permits: &Permits) -> Option<String> {
    read(campo.tipo, &campo.valori, value, permits).err().map(|wrong| wrong.reason)
}

/// Checks a value of any type but fiscal codes.
pub(super) fn read(
    tipo: TipoCampo,
    valori: &[String],
    value: &Value,
    permits: &Permits,
) -> Result<Field, Wrong> {
    let schema = |reason: &str| Wrong::new(RefusalCode::Schema, reason);
    match tipo {
        TipoCampo::Bool => value.as_bool().map(Field::Bool).ok_or_else(|| schema("must be true or false")),
        TipoCampo::Intero => integer(value, 0).map(Field::Int),
        TipoCampo::Centesimi => integer(value, 1).map(Field::Int),
        _ => {
            let text = value.as_str().ok_or_else(|| schema("must be a string"))?;
            read_text(tipo, valori, text, permits)?;
            Ok(Field::Text(text.to_owned()))
        }
    }
}

fn read_text(tipo: TipoCampo, valori: &[String], text: &str, permits: &Permits) -> Result<(), Wrong> {
    let wrong =
        |code: RefusalCode, reason: Option<String>| reason.map_or(Ok(()), |r| Err(Wrong::new(code, r)));
    let schema = |reason: Option<String>| wrong(RefusalCode::Schema, reason);
    let unless = |good: bool, reason: &str| (!good).then(|| reason.to_owned());
    match tipo {
        TipoCampo::Data => wrong(RefusalCode::Time, date_fault(text).map(str::to_owned)),
        TipoCampo::Istante => instant(text).map(drop),
        TipoCampo::Url => wrong(RefusalCode::Url, url_fault(text).map(str::to_owned)),
        TipoCampo::Enum if valori.iter().any(|v| v == text) => Ok(()),
        TipoCampo::Enum => schema(Some(format!("must be one of {}", valori.join(", ")))),
        TipoCampo::CodiceAvviso => schema(unless(is_notice(text), "must be 18 digits, the first 0 to 3")),
        TipoCampo::TitoloPermesso => {
            schema(unless(permits.titoli.contains_key(text), "must be a code of the permit titles"))
        }
        TipoCampo::Allegato => schema(unless(
            (1..=LONGEST_ATTACHMENT).contains(&text.chars().count()) && !text.chars().any(char::is_control),
            "must have 1 to 128 characters, no control characters",
        )),
        TipoCampo::Ora => schema(unless(
            chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok() && text.len() == 5,
            "must be HH:MM",
        )),
        _ => schema(text_fault(text).map(str::to_owned)),
    }
}

fn integer(value: &Value, least: i64) -> Result<i64, Wrong> {
    let wrong = |reason: String| Wrong::new(RefusalCode::Schema, reason);
    let number = value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX));
    let number = number.ok_or_else(|| wrong("must be an integer".to_owned()))?;
    let good = (least..=LARGEST).contains(&number);
    if good { Ok(number) } else { Err(wrong(format!("must be from {least} to {LARGEST}"))) }
}

fn is_notice(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 18 && bytes.iter().all(u8::is_ascii_digit) && bytes[0] <= b'3'
}

/// Why a text is none, or `None` if it is one: 1 to 1,000 characters, something to see among them.
#[must_use]
pub fn text_fault(text: &str) -> Option<&'static str> {
    if text.chars().count() > LONGEST_TEXT {
        return Some("must have at most 1000 characters");
    }
    let blank = text.chars().all(|c| c.is_whitespace() || c.is_control());
    blank.then_some("must not be empty")
}

fn date_fault(text: &str) -> Option<&'static str> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(place, b)| match place {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    if !form {
        return Some("must be YYYY-MM-DD");
    }
    match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(date) if DATE_YEARS.contains(&date.year()) => None,
        Ok(_) => Some("must be within the years 1900 to 2200"),
        Err(_) => Some("is no day of the calendar"),
    }
}

/// Reads an RFC 3339 instant with offset, within the years 2000 to 2100.
pub(super) fn instant(text: &str) -> Result<DateTime<Utc>, Wrong> {
    let wrong = |reason: &str| Err(Wrong::new(RefusalCode::Time, reason));
    let parsed =
        if text.as_bytes().get(10) == Some(&b'T') { DateTime::parse_from_rfc3339(text).ok() } else { None };
    let Some(at) = parsed else {
        return wrong("must be an RFC 3339 instant with offset");
    };
    if !INSTANT_YEARS.contains(&at.naive_utc().year()) || !INSTANT_YEARS.contains(&at.naive_local().year()) {
        return wrong("must be within the years 2000 to 2100");
    }
    if at.nanosecond() >= 1_000_000_000 {
        return wrong("must not be a leap second");
    }
    Ok(at.with_timezone(&Utc))
}

/// Why a text is no url that a citizen may be sent to, or `None` if it is one: absolute, `https`, with a
/// host, without credentials, at most 2,048 characters.
#[must_use]
pub fn url_fault(text: &str) -> Option<&'static str> {
    if text.chars().count() > LONGEST_URL {
        return Some("must have at most 2048 characters");
    }
    // The parser drops tabs and line breaks and takes `\` for `/`: what it reads is then not what was given.
    let odd = text.chars().any(|c| c.is_control() || c == '\\') || text.trim() != text;
    let slashes = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    if odd || !slashes || text[8..].starts_with('/') {
        return Some("must be an absolute https url");
    }
    let Ok(url) = Url::parse(text) else {
        return Some("must be an absolute https url");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must hold no credentials");
    }
    host_fault(&url)
}

/// Why a host is not one that a citizen can read: `xn--` hosts and hosts with accents can look like another
/// (UTS 39), an address says nothing at all.
fn host_fault(url: &Url) -> Option<&'static str> {
    match url.host() {
        Some(Host::Domain(name)) if name.split('.').any(|label| label.starts_with("xn--")) => {
            Some("must name its host in plain ASCII letters, not in another alphabet or its `xn--` form")
        }
        Some(Host::Domain(name)) if !name.is_empty() => None,
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => Some("must name a host, not an address"),
        _ => Some("must name a host"),
    }
}

/// Takes a url pattern apart: the url with each `{campo}` replaced by a letter, and the fields named.
///
/// # Errors
/// When a brace has no partner or holds no field name.
pub fn placeholders(pattern: &str) -> Result<(String, Vec<String>), &'static str> {
    let mut plain = String::new();
    let mut names = Vec::new();
    let mut rest = pattern;
    while let Some(open) = rest.find(['{', '}']) {
        plain.push_str(&rest[..open]);
        let after = rest[open..].strip_prefix('{').ok_or("has a `}` without a `{`")?;
        let (name, tail) = after.split_once('}').ok_or("has a `{` without a `}`")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            return Err("has a placeholder that is no field name");
        }
        names.push(name.to_owned());
        plain.push('x');
        rest = tail;
    }
    plain.push_str(rest);
    Ok((plain, names))
}

/// Reads one fiscal code.
pub(super) fn code(value: &Value) -> Result<FiscalCode, Wrong> {
    let wrong = |reason: String| Wrong::new(RefusalCode::FiscalCode, reason);
    let text = value.as_str().ok_or_else(|| wrong("must be a string".to_owned()))?;
    FiscalCode::parse(text).map_err(|fault| wrong(fault.to_string()))
}

/// Reads 1 to 500 fiscal codes; a repeated one counts once.
pub(super) fn codes(value: &Value) -> Result<Vec<FiscalCode>, Wrong> {
    let items = value
        .as_array()
        .ok_or_else(|| Wrong::new(RefusalCode::Schema, "must be an array of fiscal codes"))?;
    let mut seen = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let code = code(item).map_err(|w| Wrong::new(w.code, format!("item {}: {}", place + 1, w.reason)))?;
        if seen.insert(code.clone()) {
            found.push(code);
        }
    }
    if (1..=MOST_CODES).contains(&found.len()) {
        return Ok(found);
    }
    Err(Wrong::new(RefusalCode::Schema, format!("must hold 1 to {MOST_CODES} fiscal codes")))
}
