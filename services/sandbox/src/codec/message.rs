//! A message that passed the codec.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

/// `feature_level_type` of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// An ordinary message.
    Standard,
    /// A Premium message.
    Advanced,
}

/// The payment notice of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment<'a> {
    /// Euro cents, 1 to 9,999,999,999.
    pub amount: u64,
    /// 18 digits.
    pub notice_number: &'a str,
    /// Fiscal code of the payee, where the message names one.
    pub payee: Option<&'a str>,
}

/// A submitted message, checked and normalised: defaults filled in, timestamps in UTC, properties of
/// `content` that the API does not know dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    decoded: Map<String, Value>,
}

impl NewMessage {
    pub(super) fn from_decoded(decoded: Map<String, Value>) -> Self {
        Self { decoded }
    }

    /// The whole decoded body, as the API's codec gives it.
    #[must_use]
    pub fn decoded(&self) -> &Map<String, Value> {
        &self.decoded
    }

    /// `fiscal_code` of the body, if it has one.
    #[must_use]
    pub fn fiscal_code(&self) -> Option<&str> {
        self.decoded.get("fiscal_code").and_then(Value::as_str)
    }

    /// `content`: subject, markdown and what else was sent.
    #[must_use]
    pub fn content(&self) -> &Value {
        self.decoded.get("content").unwrap_or(&Value::Null)
    }

    /// Title, 10 to 120 UTF-16 units.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text("subject")
    }

    /// Text with its front matter, 80 to 10,000 UTF-16 units.
    #[must_use]
    pub fn markdown(&self) -> &str {
        self.text("markdown")
    }

    /// Seconds, 3600 to 604,800.
    #[must_use]
    pub fn time_to_live(&self) -> u64 {
        self.decoded.get("time_to_live").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Level asked for.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.decoded.get("feature_level_type").and_then(Value::as_str) {
            Some("ADVANCED") => Level::Advanced,
            _ => Level::Standard,
        }
    }

    /// Due instant, if there is one.
    #[must_use]
    pub fn due_date(&self) -> Option<DateTime<Utc>> {
        super::instant::parse(self.content().get("due_date")?.as_str()?)
    }

    /// Payment notice, if there is one.
    #[must_use]
    pub fn payment(&self) -> Option<Payment<'_>> {
        let data = self.content().get("payment_data")?;
        Some(Payment {
            amount: data.get("amount")?.as_u64()?,
            notice_number: data.get("notice_number")?.as_str()?,
            payee: data.get("payee").and_then(|payee| payee.get("fiscal_code")).and_then(Value::as_str),
        })
    }

    /// `third_party_data`, if there is one.
    #[must_use]
    pub fn third_party_data(&self) -> Option<&Value> {
        self.content().get("third_party_data")
    }

    /// Whether the message says that it has attachments.
    #[must_use]
    pub fn has_attachments(&self) -> bool {
        self.third_party_data().and_then(|data| data.get("has_attachments")).is_some_and(|flag| flag == true)
    }

    fn text(&self, name: &str) -> &str {
        self.content().get(name).and_then(Value::as_str).unwrap_or_default()
    }
}
