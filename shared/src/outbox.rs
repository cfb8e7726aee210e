//! The way out of every service: work and outcomes published, and known to be safe.

use crate::broker::{Outgoing, Publisher, topology};
use crate::clock::Clock;
use crate::wire::Outcome;
use tracing::warn;

/// The way out of a service.
#[derive(Clone)]
pub struct Outbox<P> {
    publisher: P,
    clock: Clock,
}

impl<P: Publisher> Outbox<P> {
    /// On a publisher; the clock dates the outcomes.
    #[must_use]
    pub fn new(publisher: P, clock: Clock) -> Self {
        Self { publisher, clock }
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

    /// Tells outcomes; returns whether all are confirmed. Nobody listening is no fault.
    pub async fn tell(&self, outcomes: Vec<Outcome>) -> bool {
        self.publish(self.messages(&outcomes)).await == 0
    }

    /// Outcomes as they are published: for a batch with other messages.
    #[must_use]
    pub fn messages(&self, outcomes: &[Outcome]) -> Vec<Outgoing> {
        let now = self.clock.now();
        let message = |outcome: &Outcome| {
            let mut message =
                Outgoing::new(topology::OUTCOMES, &outcome.routing_key(), outcome.id(), outcome.body(now));
            "application/cloudevents+json".clone_into(&mut message.content_type);
            message.optional()
        };
        outcomes.iter().map(message).collect()
    }
}
