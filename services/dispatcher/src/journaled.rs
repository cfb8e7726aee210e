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
use shared::journal;
use shared::outbox::Outbox;
use shared::store::StoreError;
use shared::store::ledger::{Fence, History, Intent, Ledger, Settled, Settlement};
use shared::wire::MessageRef;
use tokio::time::{Instant, timeout};
use tracing::warn;

/// How long the line of an intent may take. With a request's own time it stays within what the fence grants
/// (`io.request_timeout` and 10 s).
const LINE_LIMIT: Duration = Duration::from_secs(5);
/// A line that was confirmed later than this after the fence may stand behind the mark up to which a rebuild
/// has read meanwhile: the fence is asked again.
const LINE_IN_TIME: Duration = Duration::from_secs(1);
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

    fn line(&self, message: &MessageRef, intent: &Intent, released: bool) -> Outgoing {
        let at_ms = self.clock.now().timestamp_millis();
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

    async fn is_written(&self, line: Outgoing) -> bool {
        matches!(timeout(LINE_LIMIT, self.outbox.publish(vec![line])).await, Ok(0))
    }
}

impl<L: Ledger, P: Publisher> Ledger for Journaled<L, P> {
    async fn fence(&self, message: &MessageRef, intent: &Intent) -> Result<Fence, StoreError> {
        loop {
            let begun = Instant::now();
            let fence = self.ledger.fence(message, intent).await?;
            if fence != Fence::Go {
                return Ok(fence);
            }
            self.open().insert((message.chiave.clone(), message.attempt));
            if !self.is_written(self.line(message, intent, false)).await {
                warn!(
                    message_key = message.chiave,
                    attempt = message.attempt,
                    "intent not journaled, not sent"
                );
                let later = Settlement::Retry { after: WAIT, burns_attempt: false, called: false };
                self.settle(message, &later).await?;
                return Ok(Fence::Stale);
            }
            if begun.elapsed() < LINE_IN_TIME {
                return Ok(Fence::Go);
            }
        }
    }

    async fn settle(&self, message: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        let settled = self.ledger.settle(message, settlement).await?;
        let was_open = self.open().remove(&(message.chiave.clone(), message.attempt));
        let back = matches!(settlement, Settlement::Retry { .. } | Settlement::PremiumRefused);
        if was_open && back && settled == Settled::Recorded {
            // Best effort: without it a rebuild takes the message for one in doubt, which is safe.
            let none = Intent { token: String::new(), lasts: Duration::ZERO };
            if !self.is_written(self.line(message, &none, true)).await {
                warn!(message_key = message.chiave, attempt = message.attempt, "release not journaled");
            }
        }
        Ok(settled)
    }

    async fn turn_back(&self, message: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        // No line of it was written.
        self.ledger.turn_back(message, settlement).await
    }

    async fn history(&self, message: &MessageRef) -> Result<History, StoreError> {
        self.ledger.history(message).await
    }

    async fn standard_for(&self, ente: &str, time: Duration) -> Result<(), StoreError> {
        self.ledger.standard_for(ente, time).await
    }
}
