//! The CloudEvents envelope (contract.md section 4).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::refusal::{RefusalCode, Wrong};
use super::{LARGEST_BODY, TraceContext, json, value};

/// Longest `id`, `source` and `subject`, characters.
const LONGEST_LABEL: usize = 128;

/// Checked attributes. Unknown ones are extensions, and ignored.
pub(super) struct Envelope<'a> {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) tipo: &'a str,
    pub(super) subject: String,
    pub(super) time: DateTime<Utc>,
    pub(super) ente: &'a str,
    pub(super) servizio: &'a str,
    pub(super) is_version_1: bool,
    pub(super) sequence: Option<u64>,
    pub(super) traceparent: Option<TraceContext>,
    pub(super) data: &'a Map<String, Value>,
}

/// Takes the body apart.
pub(super) fn read(body: &[u8], content_type: Option<&str>) -> Result<Map<String, Value>, Wrong> {
    if body.len() > LARGEST_BODY {
        let reason = format!("has {} bytes, at most {LARGEST_BODY} are taken", body.len());
        return Err(Wrong::new(RefusalCode::Size, reason));
    }
    if !content_type.is_none_or(is_json) {
        let reason = "must be application/cloudevents+json or application/json, in UTF-8";
        return Err(Wrong::new(RefusalCode::ContentType, reason));
    }
    match json::parse(body).map_err(|reason| Wrong::new(RefusalCode::Json, reason))? {
        Value::Object(event) => Ok(event),
        _ => Err(Wrong::new(RefusalCode::Envelope, "must be a JSON object")),
    }
}

fn is_json(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let media = parts
        .next()
        .is_some_and(|media| matches!(media, "" | "application/json" | "application/cloudevents+json"));
    let foreign = |part: &str| {
        part.strip_prefix("charset=")
            .is_some_and(|set| !matches!(set.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
    };
    media && !parts.any(foreign)
}

/// An attribute that names something: 1 to 128 characters, not all white space, no control characters.
pub(super) fn label(event: &Map<String, Value>, name: &str) -> Result<String, Wrong> {
    let text = string(event, name)?;
    if text.trim().is_empty() || text.chars().count() > LONGEST_LABEL {
        return Err(Wrong::envelope(name, "must have 1 to 128 characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::envelope(name, "must hold no control characters"));
    }
    Ok(text.to_owned())
}

fn string<'a>(event: &'a Map<String, Value>, name: &str) -> Result<&'a str, Wrong> {
    let value = event.get(name).ok_or_else(|| Wrong::envelope(name, "is missing"))?;
    value.as_str().ok_or_else(|| Wrong::envelope(name, "must be a string"))
}

impl<'a> Envelope<'a> {
    pub(super) fn read(event: &'a Map<String, Value>) -> Result<Self, Wrong> {
        if string(event, "specversion")? != "1.0" {
            return Err(Wrong::envelope("specversion", "must be \"1.0\""));
        }
        let time = string(event, "time")?;
        let time = value::instant(time).map_err(|w| Wrong::new(w.code, format!("time: {}", w.reason)))?;
        let data = event.get("data").ok_or_else(|| Wrong::envelope("data", "is missing"))?;
        Ok(Self {
            id: label(event, "id")?,
            source: label(event, "source")?,
            tipo: string(event, "type")?,
            subject: label(event, "subject")?,
            time,
            ente: string(event, "ente")?,
            servizio: string(event, "servizio")?,
            is_version_1: match event.get("dataschema") {
                None => true,
                Some(schema) => schema.as_str().is_some_and(|uri| uri.ends_with("/v1")),
            },
            sequence: sequence(event.get("sequence"))?,
            traceparent: traceparent(event),
            data: data.as_object().ok_or_else(|| Wrong::envelope("data", "must be an object"))?,
        })
    }
}

fn sequence(value: Option<&Value>) -> Result<Option<u64>, Wrong> {
    let number = match value {
        None => return Ok(None),
        Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    let reason = "must be an unsigned integer, as a number or as decimal digits";
    number.map(Some).ok_or_else(|| Wrong::envelope("sequence", reason))
}

/// The trace context, where there is a good one: another is no fault.
pub(super) fn traceparent(event: &Map<String, Value>) -> Option<TraceContext> {
    TraceContext::parse(event.get("traceparent")?.as_str()?)
}
