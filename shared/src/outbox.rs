//! The way out of every service: work and outcomes published, and known to be safe.

use crate::broker::{Outgoing, Publisher, topology};
use crate::clock::Clock;
use crate::trace::{Cause, Place, Span, Traces};
use crate::wire::Outcome;
use tracing::warn;

/// The way out of a service.
#[derive(Clone)]
pub struct Outbox<P> {
    publisher: P,
    clock: Clock,
    traces: Traces,
}

impl<P: Publisher> Outbox<P> {
    /// On a publisher; the clock dates the outcomes.
    #[must_use]
    pub fn new(publisher: P, clock: Clock) -> Self {
        Self { publisher, clock, traces: Traces::off() }
    }

    /// The same, with a span for each outcome.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Publishes; returns how many were not confirmed.
    pub async fn publish(&self, messages: Vec<Outgoing>) -> usize {
        if messages.is_empty() {
            return 0;
        }
        let results = self.publisher.publish_all(messages).await;
        let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        if let Some(failure) = failed.first() {
            warn!(code = failure.code(), count = failed.len(), "publishing failed");
        }
        failed.len()
    }

    /// Tells outcomes; returns whether all are confirmed. Nobody has to listen, but the journal's stream takes each:
    /// one that comes back as unroutable says that the stream is missing.
    pub async fn tell(&self, outcomes: Vec<Outcome>) -> bool {
        self.publish(self.messages(&outcomes)).await == 0
    }

    /// Outcomes as they are published: for a batch with other messages.
    #[must_use]
    pub fn messages(&self, outcomes: &[Outcome]) -> Vec<Outgoing> {
        let now = self.clock.now();
        let message = |outcome: &Outcome| {
            let (key, id) = (outcome.routing_key(), outcome.id());
            let span = self.span(outcome, &key, &id);
            let mut message = Outgoing::new(topology::OUTCOMES, &key, id, outcome.body(now));
            "application/cloudevents+json".clone_into(&mut message.content_type);
            // Who does not trace, and who does not keep this one, passes on what came.
            message.with_trace(span.kept().or(outcome.traceparent)).with_span(span)
        };
        outcomes.iter().map(message).collect()
    }

    fn span(&self, outcome: &Outcome, routing_key: &str, id: &str) -> Span {
        let to = Place { exchange: topology::OUTCOMES, routing_key, queue: None };
        let span = self.traces.send(&to, Cause::CurrentOrSince(outcome.traceparent));
        if span.is_kept() {
            span.note("messaging.message.id", id.to_owned());
        }
        span
    }
}
