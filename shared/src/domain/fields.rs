//! The checked fields of an event's `data`, and what the templates see of them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// One checked value. Dates and instants stay in the form they came in; the accessors read them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Text, date, instant, url, enum, code.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

/// Checked fields by name.
pub type Fields = BTreeMap<String, Field>;

impl std::fmt::Debug for Field {
    /// Says the kind only: a field may be a name or an address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bool(_) => "Bool(…)",
            Self::Int(_) => "Int(…)",
            Self::Text(_) => "Text(…)",
            Self::List(_) => "List(…)",
        })
    }
}

impl Field {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The ISO date, if it is one.
    #[must_use]
    pub fn date(&self) -> Option<NaiveDate> {
        NaiveDate::parse_from_str(self.text()?, "%Y-%m-%d").ok()
    }

    /// The RFC 3339 instant, if it is one.
    #[must_use]
    pub fn instant(&self) -> Option<DateTime<Utc>> {
        Some(DateTime::parse_from_rfc3339(self.text()?).ok()?.with_timezone(&Utc))
    }
}
