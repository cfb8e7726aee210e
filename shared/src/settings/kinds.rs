//! The kinds of value that a key takes. A refusal says what would be taken, never what was found.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveTime;
use secrecy::SecretString;
use toml::Value;

use super::reader::{Parsed, Raw};

/// The longest duration taken: a hundred years.
const LONGEST: Duration = Duration::from_hours(24 * 36_525);

/// Text, not empty, at most 1,000 characters.
pub(super) fn text(raw: Raw) -> Parsed<String> {
    match raw.value {
        Value::String(text) if !text.trim().is_empty() && text.chars().count() <= 1000 => Ok(text.clone()),
        Value::String(_) => Err("must have 1 to 1000 characters".to_owned()),
        _ => Err("must be text in quotes".to_owned()),
    }
}

/// `true` or `false`.
pub(super) fn flag(raw: Raw) -> Parsed<bool> {
    match raw.value {
        Value::Boolean(flag) => Ok(*flag),
        Value::String(text) if raw.environment => {
            text.parse().map_err(|_| "must be true or false".to_owned())
        }
        _ => Err("must be true or false".to_owned()),
    }
}

/// A whole number in a range.
pub(super) fn integer(range: RangeInclusive<i64>) -> impl Fn(Raw) -> Parsed<i64> {
    move |raw| {
        let number = match raw.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) if raw.environment => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A whole number in a range, as the type the settings hold.
pub(super) fn count<T: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(Raw) -> Parsed<T> {
    move |raw| T::try_from(integer(range.clone())(raw)?).map_err(|_| "too large a number".to_owned())
}

/// A number from 0 to 1.
pub(super) fn share(raw: Raw) -> Parsed<f64> {
    let number = match raw.value {
        Value::Float(number) => Some(*number),
        Value::Integer(0) => Some(0.0),
        Value::Integer(1) => Some(1.0),
        Value::String(text) if raw.environment => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// A duration: digits and one of `ms`, `s`, `m`, `h`, `d`; above zero, at most a hundred years.
pub(super) fn duration(raw: Raw) -> Parsed<Duration> {
    raw.value
        .as_str()
        .and_then(parse_duration)
        .filter(|d| !d.is_zero() && *d <= LONGEST)
        .ok_or_else(|| r#"must be a duration above zero such as "500ms", "30s", "5m", "2h", "7d""#.to_owned())
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// A local time of day, `"HH:MM"`.
pub(super) fn time_of_day(raw: Raw) -> Parsed<NaiveTime> {
    raw.value
        .as_str()
        .filter(|text| text.len() == 5)
        .and_then(|text| NaiveTime::parse_from_str(text, "%H:%M").ok())
        .ok_or_else(|| r#"must be a time of day such as "09:00""#.to_owned())
}

/// An address to listen on, `"IP:port"`; port 0 takes a free one.
pub(super) fn bind(raw: Raw) -> Parsed<SocketAddr> {
    raw.value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| r#"must be an IP address and port such as "0.0.0.0:9101""#.to_owned())
}

/// A path; the caller resolves it.
pub(super) fn path(raw: Raw) -> Parsed<PathBuf> {
    text(raw).map(PathBuf::from)
}

/// One of the words given, as the value it stands for.
pub(super) fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(Raw) -> Parsed<T> {
    move |raw| {
        let found = raw.value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("must be {}", words.join(" or "))
        })
    }
}

/// A list, not empty, without repetitions; from the environment, separated by commas.
pub(super) fn list<T: PartialEq>(item: impl Fn(Raw) -> Parsed<T>) -> impl Fn(Raw) -> Parsed<Vec<T>> {
    move |raw| {
        let split: Vec<Value>;
        let values = match raw.value {
            Value::Array(values) => values,
            Value::String(text) if raw.environment => {
                split = text.split(',').map(|part| Value::String(part.trim().to_owned())).collect();
                &split
            }
            _ => return Err("must be a list in square brackets".to_owned()),
        };
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let parsed = item(Raw { value, environment: raw.environment })
                .map_err(|reason| format!("entry {}: {reason}", index + 1))?;
            if items.contains(&parsed) {
                return Err(format!("entry {}: given twice", index + 1));
            }
            items.push(parsed);
        }
        if items.is_empty() { Err("must not be an empty list".to_owned()) } else { Ok(items) }
    }
}

/// A secret; the reason of a refusal says nothing of it.
pub(super) fn secret(raw: Raw) -> Parsed<SecretString> {
    match raw.value {
        Value::String(text) if !text.trim_end().is_empty() => Ok(SecretString::from(text.trim_end())),
        Value::String(_) => Err("must not be empty".to_owned()),
        _ => Err("must be text in quotes".to_owned()),
    }
}

/// What a check of a text found wrong, if anything.
pub(super) fn checked(check: impl Fn(&str) -> Result<(), &'static str>) -> impl Fn(Raw) -> Parsed<String> {
    move |raw| {
        let text = text(raw)?;
        check(&text).map_err(str::to_owned)?;
        Ok(text)
    }
}
