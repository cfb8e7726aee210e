//! Walks a value along the schema: refusals go to the report, what passes comes back normalised.

use super::instant;
use super::report::Report;
use super::schema::{Field, Kind, Part, Presence, Preset};
use serde_json::{Map, Value};

/// Decodes an object. `None` where the value is no object; other faults are in the report only.
pub(super) fn decode(
    parts: &[Part],
    value: Option<&Value>,
    path: &str,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let object = value.and_then(Value::as_object);
    let mut decoded = Map::new();
    for part in parts {
        match object {
            None => report.refuse(value, path, &[part.name]),
            Some(object) => decode_part(part, object, path, report, &mut decoded),
        }
    }
    object.map(|_| decoded)
}

fn decode_part(
    part: &Part,
    object: &Map<String, Value>,
    path: &str,
    report: &mut Report,
    decoded: &mut Map<String, Value>,
) {
    if !part.is_exact {
        for (key, value) in object {
            decoded.entry(key.as_str()).or_insert_with(|| value.clone());
        }
    }
    for field in part.fields {
        let given = object.get(field.name);
        if let Some(value) = decode_field(field, given, path, report) {
            decoded.insert(field.name.to_owned(), value);
        }
    }
}

fn decode_field(field: &Field, given: Option<&Value>, path: &str, report: &mut Report) -> Option<Value> {
    match (field.presence, given) {
        (Presence::Default(preset), None | Some(Value::Null)) => return Some(preset.value()),
        (Presence::Optional, None) => return None,
        _ => {}
    }
    let path = format!("{path}.{}", field.name);
    match &field.kind {
        Kind::Record(parts) => decode(parts, given, &path, report).map(Value::Object),
        kind => {
            let leaf = given.and_then(|value| decode_leaf(kind, value));
            if leaf.is_none() {
                report.refuse(given, &path, names(kind).as_slice());
            }
            leaf
        }
    }
}

/// The normalised value of a leaf, if it passes.
fn decode_leaf(kind: &Kind, value: &Value) -> Option<Value> {
    let passes = match kind {
        Kind::Length { min, max, .. } => {
            value.as_str().is_some_and(|text| (*min..=*max).contains(&utf16_length(text)))
        }
        Kind::Matching { is_valid, .. } => value.as_str().is_some_and(is_valid),
        Kind::Integer { min, max, .. } => return integer(value, *min, *max),
        Kind::Boolean => value.is_boolean(),
        Kind::Timestamp => {
            return value.as_str().and_then(instant::parse).map(|due| instant::to_text(due).into());
        }
        Kind::Record(_) => false,
    };
    passes.then(|| value.clone())
}

/// Length as the API counts it: UTF-16 code units, so that an emoji counts two.
fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

fn integer(value: &Value, min: f64, max: f64) -> Option<Value> {
    let number = value.as_f64()?;
    let is_integer = number.fract() == 0.0 && (min..=max).contains(&number);
    // Every bound of the schema is far below 2^53, where doubles stop being exact.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just above")]
    is_integer.then(|| Value::from(number as u64))
}

fn names(kind: &Kind) -> Vec<&'static str> {
    match kind {
        Kind::Length { name, .. } | Kind::Matching { name, .. } => vec![name],
        Kind::Integer { names, .. } => names.to_vec(),
        Kind::Boolean => vec!["boolean"],
        Kind::Timestamp => vec!["UtcOnlyIsoDateFromString", "TimezoneOnlyIsoDateFromString"],
        Kind::Record(parts) => parts.iter().map(|part| part.name).collect(),
    }
}

impl Preset {
    fn value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Integer(number) => number.into(),
            Self::False => false.into(),
        }
    }
}
