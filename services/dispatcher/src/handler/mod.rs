//! What is done with one message: decide, settle in the ledger, tell the outcome.
//!
//! - [`Handler`]: what it works with; [`Handler::dispatch`] and [`Handler::follow`] are its two uses.
//! - `send`: may it go, does it go, what came of it. `follow`: what became of a sent one.
//! - `poison`: the end of what ended every process that took it.
//! - `failures`: what happens after each kind of failure. `ledger`: patience with the store.
//! - `verdict`: what the caller does with the delivery.

mod failures;
mod follow;
mod ledger;
mod poison;
mod send;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::clock::Clock;
use shared::domain::ente::Ente;
use shared::settings::Live;
use shared::store::ledger::{Ledger, Settlement};
use shared::store::quota::QuotaStore;
use shared::wire::RecipientHash;
use tokio_util::sync::CancellationToken;

use crate::account::Accounts;
use crate::io_api::IoApi;
use crate::keys::Keys;
use crate::metrics::Metrics;

pub use verdict::{End, Recorded, Verdict};

/// The enti in force.
pub trait Enti: Send + Sync + 'static {
    /// The ente of that id.
    fn ente(&self, id: &str) -> Option<Arc<Ente>>;
}

impl Enti for Arc<Live> {
    fn ente(&self, id: &str) -> Option<Arc<Ente>> {
        self.current().ente(id).cloned()
    }
}

/// Choices of the fleet.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// `io.request_timeout`.
    pub request_timeout: Duration,
    /// `io.resend_after`: longer than a gateway can hold a request (180 s, io-api.md section 1).
    pub resend_after: Duration,
    /// `io.track_status`.
    pub track_status: bool,
}

/// What the handler works with.
pub struct Parts<A, L, Q, E> {
    /// The IO API.
    pub api: A,
    /// The ledger.
    pub ledger: L,
    /// The IO accounts.
    pub accounts: Accounts<Q>,
    /// The enti in force.
    pub enti: E,
    /// The time.
    pub clock: Clock,
    /// Names the recipients in outcomes.
    pub hash: RecipientHash,
    /// Choices of the fleet.
    pub policy: Policy,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the process stops: what has not left then does not leave.
    pub stopping: CancellationToken,
}

/// Handles messages.
pub struct Handler<A, L, Q, E> {
    parts: Parts<A, L, Q, E>,
    keys: Keys,
    /// Names this process among the fleet's, and with the number each of its tries.
    process: u128,
    tries: AtomicU64,
}

/// What a decision comes to.
#[derive(Debug)]
enum Step {
    /// Record it, then tell it.
    Settle(Settlement),
    /// It was recorded before: tell it again.
    Tell(Settlement),
    /// There is nothing to tell.
    End(End),
}

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti> Handler<A, L, Q, E> {
    /// A handler with no service paused.
    pub fn new(parts: Parts<A, L, Q, E>) -> Self {
        Self { parts, keys: Keys::default(), process: rand::random(), tries: AtomicU64::new(0) }
    }

    /// Its metrics.
    #[cfg(test)]
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// The name of a try: no other try has it.
    fn token(&self) -> String {
        format!("{:032x}-{}", self.process, self.tries.fetch_add(1, Ordering::Relaxed))
    }
}

/// A number in 0..1.
fn jitter() -> f64 {
    rand::random()
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
