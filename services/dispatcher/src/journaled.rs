//! The ledger with a journal beside it: no request leaves before a line says so.
//!
//! Redis may lose the intent that the fence wrote. The line brings it back, so that a message which may have
//! been sent is known to be in doubt and is not sent again as if nothing had happened.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::broker::{Outgoing, Publisher};
use shared::clock::Clock;
use shared::formats::INTENT;
use shared::journal::{self, LINE_IN_TIME};
use shared::outbox::Outbox;
use shared::store::StoreError;
use shared::store::ledger::{Fence, History, Intent, Ledger, Settled, Settlement};
use shared::wire::MessageRef;
use tokio::time::{Instant, timeout};
use tracing::warn;

/// How long the line of an intent may take. With a request's own time it stays within what the fence grants
/// (`io.request_timeout` and 10 s).
const LINE_LIMIT: Duration = Duration::from_secs(5);
/// How long a message waits whose line was not confirmed.
const WAIT: Duration = Duration::from_secs(5);

/// A ledger that writes a line before each request, and another where nothing came of it.
pub struct Journaled<L, P> {
    ledger: L,
    outbox: Outbox<P>,
    clock: Clock,
    /// Intents written by this process and not settled yet: message key and emission.
    open: Mutex<HashSet<(String, u32)>>,
}

impl<L: Ledger, P: Publisher> Journaled<L, P> {
    /// Beside a ledger.
    pub fn new(ledger: L, outbox: Outbox<P>, clock: Clock) -> Self {
        Self { ledger, outbox, clock, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashSet<(String, u32)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Its intent is settled. Where nothing came of it, a line says so, as best it can: without it a rebuild takes
    /// the message for one in doubt, which is safe.
    async fn close(&self, message: &MessageRef, is_back: bool) {
        let was_open = self.open().remove(&(message.chiave.clone(), message.attempt));
        if was_open && is_back {
            let none = Intent { token: String::new(), lasts: Duration::ZERO };
            if !self.is_written(line(message, &none, self.now_ms(), true)).await {
                warn!(message_key = message.chiave, attempt = message.attempt, "release not journaled");
            }
        }
    }

    async fn is_written(&self, line: Outgoing) -> bool {
        matches!(timeout(LINE_LIMIT, self.outbox.publish(vec![line])).await, Ok(0))
    }
}

impl<L: Ledger, P: Publisher> Ledger for Journaled<L, P> {
    async fn fence(&self, message: &MessageRef, intent: &Intent) -> Result<Fence, StoreError> {
        loop {
            let begun = Instant::now();
            // Before the fence: an event that finds the message leaving has a later line, and a replay that meets
            // it first would plan what can no longer be planned.
            let at_ms = self.now_ms();
            let fence = self.ledger.fence(message, intent).await?;
            if fence != Fence::Go {
                return Ok(fence);
            }
            self.open().insert((message.chiave.clone(), message.attempt));
            if !self.is_written(line(message, intent, at_ms, false)).await {
                warn!(
                    message_key = message.chiave,
                    attempt = message.attempt,
                    "intent not journaled, not sent"
                );
                self.withdraw(message, &intent.token, WAIT).await?;
                return Ok(Fence::Stale);
            }
            if begun.elapsed() < LINE_IN_TIME {
                return Ok(Fence::Go);
            }
        }
    }

    async fn settle(&self, message: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        let settled = self.ledger.settle(message, settlement).await?;
        let back = matches!(settlement, Settlement::Retry { .. } | Settlement::PremiumRefused);
        self.close(message, back && settled == Settled::Recorded).await;
        Ok(settled)
    }

    async fn turn_back(&self, message: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        // No line of it was written.
        self.ledger.turn_back(message, settlement).await
    }

    async fn withdraw(
        &self,
        message: &MessageRef,
        token: &str,
        after: Duration,
    ) -> Result<Settled, StoreError> {
        let settled = self.ledger.withdraw(message, token, after).await?;
        self.close(message, settled == Settled::Recorded).await;
        Ok(settled)
    }

    async fn history(&self, message: &MessageRef) -> Result<History, StoreError> {
        self.ledger.history(message).await
    }

    async fn standard_for(&self, ente: &str, time: Duration) -> Result<(), StoreError> {
        self.ledger.standard_for(ente, time).await
    }
}

/// The line of an intent, or of its end where nothing came of it.
fn line(message: &MessageRef, intent: &Intent, at_ms: i64, released: bool) -> Outgoing {
    let lasts = i64::try_from(intent.lasts.as_millis()).unwrap_or(i64::MAX);
    journal::intent_line(&journal::Intent {
        v: INTENT.written(),
        ente: message.ente.clone(),
        chiave: message.chiave.clone(),
        caso: message.caso.clone(),
        slot: message.slot,
        attempt: message.attempt,
        token: intent.token.clone(),
        at_ms,
        until_ms: at_ms.saturating_add(lasts),
        released,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use shared::broker::memory::MemoryBroker;
    use shared::broker::topology::{JOURNAL_INTENTS, Topology};
    use shared::broker::{Consumer, Deliveries};

    use super::*;
    use crate::doubles::{Double, Seen, World, request};

    /// A ledger with its journal, in a world of its own.
    fn journaled() -> (Journaled<Double, MemoryBroker>, MemoryBroker, std::sync::Arc<World>) {
        let world = std::sync::Arc::new(World::default());
        let broker = MemoryBroker::new(Topology::fleet());
        let (ledger, clock) = (Double(std::sync::Arc::clone(&world)), world.clock.clone());
        (Journaled::new(ledger, Outbox::new(broker.clone(), clock.clone()), clock), broker, world)
    }

    #[tokio::test]
    async fn the_line_of_an_intent_is_not_later_than_its_fence() {
        let hour = Duration::from_hours(1);
        let (ledger, broker, world) = journaled();
        *world.fence_lasts.lock().unwrap() = hour;
        let asked_ms = ledger.now_ms();
        let intent = Intent { token: "mine".to_owned(), lasts: Duration::from_secs(10) };
        assert_eq!(ledger.fence(&request(serde_json::json!({})).message, &intent).await.unwrap(), Fence::Go);
        let line = broker.subscribe(JOURNAL_INTENTS, 1).next().await.unwrap();
        let line: journal::Intent = serde_json::from_slice(&line.body).unwrap();
        let after = TimeDelta::milliseconds(line.at_ms - asked_ms);
        assert!(after < TimeDelta::from_std(hour).unwrap(), "{after} after the fence was asked");
    }

    #[tokio::test]
    async fn a_try_whose_line_is_not_confirmed_takes_back_its_own_intent_and_no_other() {
        let (ledger, broker, world) = journaled();
        let message = request(serde_json::json!({})).message;
        let intent = Intent { token: "mine".to_owned(), lasts: Duration::from_secs(10) };
        broker.fail_publishes(1);
        assert_eq!(ledger.fence(&message, &intent).await.unwrap(), Fence::Stale);
        assert_eq!(world.seen(), [Seen::Fence, Seen::Withdrawn("mine".to_owned())]);
        assert_eq!(ledger.fence(&message, &intent).await.unwrap(), Fence::Go);
        assert_eq!(world.seen(), [Seen::Fence]);
    }
}
