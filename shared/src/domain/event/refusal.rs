//! Why an event, or a message on its way, is refused: the closed list of codes.

use std::fmt;

use super::{CaseEvent, TraceContext};

/// What a dead message's `x-promemoria-code` may say, and `codice` of `evento.rifiutato`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The body is larger than 64 KiB.
    Size,
    /// The content type is neither CloudEvents JSON nor JSON.
    ContentType,
    /// The body is not one JSON document, has a key twice, or is nested too deep.
    Json,
    /// An attribute of the envelope is missing or has the wrong form.
    Envelope,
    /// The event type is unknown, or unknown to that service.
    Type,
    /// The version of `dataschema`, or of an internal body, is unknown.
    Version,
    /// A field of `data` is missing or has the wrong form.
    Schema,
    /// The ente is unknown or does not run the service.
    Ente,
    /// The routing key is not `<ente>.<type>`.
    RoutingKey,
    /// A fiscal code is wrong.
    FiscalCode,
    /// A date or instant is wrong or out of range.
    Time,
    /// A url is not an absolute `https` url.
    Url,
    /// A message that the event leads to lacks a variable.
    Variable,
    /// The same `source` and `id` came before with another body.
    Conflict,
    /// A message could not be rendered.
    Render,
    /// Every attempt failed.
    Attempts,
    /// A message's service left the catalogue.
    Service,
    /// What the store has of a message cannot be read.
    Store,
}

impl RefusalCode {
    /// All of them, in the order of checking.
    pub const ALL: [Self; 18] = [
        Self::Size,
        Self::ContentType,
        Self::Json,
        Self::Envelope,
        Self::Type,
        Self::Version,
        Self::RoutingKey,
        Self::Ente,
        Self::Schema,
        Self::Time,
        Self::Url,
        Self::FiscalCode,
        Self::Variable,
        Self::Conflict,
        Self::Render,
        Self::Attempts,
        Self::Service,
        Self::Store,
    ];

    /// As headers, outcomes and metrics spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::ContentType => "content-type",
            Self::Json => "json",
            Self::Envelope => "envelope",
            Self::Type => "type",
            Self::Version => "version",
            Self::Schema => "schema",
            Self::Ente => "ente",
            Self::RoutingKey => "routing-key",
            Self::FiscalCode => "fiscal-code",
            Self::Time => "time",
            Self::Url => "url",
            Self::Variable => "variable",
            Self::Conflict => "conflict",
            Self::Render => "render",
            Self::Attempts => "attempts",
            Self::Service => "service",
            Self::Store => "store",
        }
    }

    /// What it means, one sentence for the docs.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Size => "the body is larger than 64 KiB",
            Self::ContentType => {
                "the content type is neither `application/cloudevents+json` nor `application/json`"
            }
            Self::Json => {
                "the body is not one JSON document in UTF-8, has a key twice, or is nested more than 32 deep"
            }
            Self::Envelope => "an attribute of the envelope is missing or has the wrong form",
            Self::Type => "the event type is unknown, or unknown to that service",
            Self::Version => "the version at the end of `dataschema` is unknown",
            Self::Schema => "a field of `data` is missing, has the wrong form, or does not fit another",
            Self::Ente => "the ente is unknown or does not run the service",
            Self::RoutingKey => "the routing key is not `<ente>.<type>` of the event",
            Self::FiscalCode => "a fiscal code is wrong, or tells a minor where an adult is needed",
            Self::Time => "a date or instant does not exist, has no offset, or is out of range",
            Self::Url => {
                "a url is not an absolute `https` url, or names no host that a reader can tell from another"
            }
            Self::Variable => {
                "a message that the event leads to needs a variable that neither event nor ente gives"
            }
            Self::Conflict => "an event with the same `source` and `id` came before with another body",
            Self::Render => "a message could not be rendered within the limits of IO",
            Self::Attempts => "every attempt to handle it failed",
            Self::Service => "a message fell due and its service is not in the catalogue any more",
            Self::Store => "what the store has of a message cannot be read",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused event. It never holds a value of `data`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Refusal {
    /// Why, as a code.
    pub code: RefusalCode,
    /// Which field and why.
    pub reason: String,
    /// CloudEvents `id`, where it could be read.
    pub event_id: Option<String>,
    /// CloudEvents `subject`, where it could be read.
    pub subject: Option<String>,
    /// W3C trace context, where a good one could be read.
    pub traceparent: Option<TraceContext>,
}

impl Refusal {
    /// Of an event of which nothing could be read.
    pub(super) fn of(wrong: Wrong) -> Self {
        let Wrong { code, reason } = wrong;
        Self { code, reason, event_id: None, subject: None, traceparent: None }
    }

    /// The same `source` and `id` came before with another body (contract.md 10.4).
    #[must_use]
    pub fn conflict(event: &CaseEvent) -> Self {
        let reason =
            "id: this source used it before for another content; publish the new content with a new id";
        Self {
            code: RefusalCode::Conflict,
            reason: reason.to_owned(),
            event_id: Some(event.id.clone()),
            subject: Some(event.pratica.clone()),
            traceparent: event.traceparent,
        }
    }
}

/// A fault in an event whose id is not at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) code: RefusalCode,
    pub(super) reason: String,
}

impl Wrong {
    pub(super) fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// Of an attribute of the envelope.
    pub(super) fn envelope(name: &str, reason: &str) -> Self {
        Self::new(RefusalCode::Envelope, format!("{name}: {reason}"))
    }

    /// Of a field of `data`.
    pub(super) fn at(self, field: &str) -> Self {
        Self { reason: format!("data.{field}: {}", self.reason), ..self }
    }
}
