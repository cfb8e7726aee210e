//! What is sent to the broker and what comes from it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};

use super::{rabbitmq::Properties, topology};
use crate::domain::TraceContext;
use crate::trace::Span;

/// A message to publish; always persistent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The exchange.
    pub exchange: String,
    /// The routing key, at most 255 bytes.
    pub routing_key: String,
    /// The message's identity, at most 255 bytes: receivers drop what they have seen.
    pub message_id: String,
    /// The media type of the body, at most 255 bytes.
    pub content_type: String,
    /// Text headers; each name at most 255 bytes.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether no queue taking it is an error.
    pub mandatory: bool,
    /// The properties of the message that this one is a copy of.
    pub(crate) original: Option<Properties>,
    /// The span of its publishing, which lasts until the message is confirmed or given up.
    pub(crate) span: Span,
}

impl Outgoing {
    /// A mandatory message without headers.
    #[must_use]
    pub fn new(
        exchange: &str,
        routing_key: &str,
        message_id: impl Into<String>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            message_id: message_id.into(),
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            body: body.into(),
            mandatory: true,
            original: None,
            span: Span::none(),
        }
    }

    /// The same, lost without an error where no queue takes it.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.mandatory = false;
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with a trace context in its header: what takes the message from its queue hangs on it.
    #[must_use]
    pub fn with_trace(self, context: Option<TraceContext>) -> Self {
        match context {
            Some(context) => self.with_header(TraceContext::NAME, context.to_string()),
            None => self,
        }
    }

    /// The same, published as this span.
    #[must_use]
    pub fn with_span(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// A copy of a delivery for the dead-letter exchange: the body byte for byte, every property and
    /// header with its type, and beside them `x-promemoria-code`, `-reason`, `-routing-key`, `-queue`
    /// and `-at`.
    ///
    /// Two properties travel as headers (`x-promemoria-expiration`, `x-promemoria-user-id`), since the
    /// broker would act on them: it would delete the copy, or refuse it from a user of another name.
    #[must_use]
    pub fn dead_letter(delivery: &Delivery, why: &DeadLetter<'_>) -> Self {
        let at = why.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            exchange: topology::DEAD.to_owned(),
            routing_key: delivery.routing_key.clone(),
            message_id: delivery.message_id().unwrap_or_default().to_owned(),
            content_type: delivery.content_type().unwrap_or_default().to_owned(),
            headers: Vec::new(),
            body: delivery.body.clone(),
            mandatory: true,
            original: Some(delivery.properties.clone()),
            span: Span::none(),
        }
        .with_header("x-promemoria-code", why.code)
        .with_header("x-promemoria-reason", why.reason)
        .with_header("x-promemoria-routing-key", delivery.routing_key.as_str())
        .with_header("x-promemoria-queue", why.queue)
        .with_header("x-promemoria-at", at)
    }
}

/// Why and where a message is given up.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// A code from a closed list.
    pub code: &'a str,
    /// Which field and why, without its value.
    pub reason: &'a str,
    /// The queue it was taken from.
    pub queue: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

/// Where a delivery's verdict goes.
pub(crate) trait Settlement: Send + Sync {
    /// Whether a verdict can still reach the broker.
    fn usable(&self, tag: u64) -> bool;
    /// Records that the delivery is done; false if the broker will give it out again.
    fn ack(&self, tag: u64) -> bool;
    /// Gives the delivery back; false if the broker does so by itself.
    fn requeue(&self, tag: u64) -> bool;
    /// Notes that a delivery was dropped without a verdict.
    fn abandoned(&self);
}

/// A message taken from a queue. It ends in exactly one verdict: [`Delivery::ack`] or
/// [`Delivery::requeue`]; one that is dropped (its handler panicked) is given back.
pub struct Delivery {
    /// The body, as the broker sent it.
    pub body: Bytes,
    /// The exchange it was published to.
    pub exchange: String,
    /// The routing key it was published with.
    pub routing_key: String,
    /// Whether it may have been given out before.
    pub redelivered: bool,
    pub(crate) properties: Properties,
    pub(crate) tag: u64,
    pub(crate) settlement: Option<Arc<dyn Settlement>>,
}

impl Delivery {
    /// Whether the channel it came on is still there. Ask right before an effect that can't be undone:
    /// a delivery of a lost connection is somebody else's by now.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.settlement.as_ref().is_some_and(|it| it.usable(self.tag))
    }

    /// The media type its publisher gave it.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.properties.content_type()
    }

    /// The identity its publisher gave it.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.properties.message_id()
    }

    /// A header that is text, or bytes that are text; `None` for one that is missing, of another type, or not
    /// UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.properties.header(name)
    }

    /// Its place in the stream that it was read from; `None` for one of a queue.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.properties.offset()
    }

    /// The trace context of its header, where there is a good one.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.header(TraceContext::NAME)?)
    }

    /// The work is done. Returns at once; acknowledgements travel together a few milliseconds later.
    ///
    /// False if the delivery's channel is gone: it comes again, to us or to another process.
    #[must_use = "a stale delivery comes again"]
    pub fn ack(mut self) -> bool {
        self.settlement.take().is_some_and(|it| it.ack(self.tag))
    }

    /// Gives it back to the queue, to come again at once.
    ///
    /// False if the delivery's channel is gone, which has the same effect.
    pub fn requeue(mut self) -> bool {
        self.settlement.take().is_some_and(|it| it.requeue(self.tag))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            settlement.abandoned();
            settlement.requeue(self.tag);
        }
    }
}

impl std::fmt::Debug for Delivery {
    /// Without body and headers: they hold personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("exchange", &self.exchange)
            .field("tag", &self.tag)
            .field("redelivered", &self.redelivered)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
