//! After a message that cannot be read, deliveries are taken one at a time for a while.
//!
//! Such a message ends the connection before any of our code sees it, and the broker gives it out again, until its
//! delivery limit. Whatever was prefetched beside it comes back each time as well and would reach the limit with it:
//! alone, only the one that cannot be read is counted, and what stands before it in the queue passes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long after the last such message. Reconnecting takes a fraction of a second, so another one of its returns
/// to this process shows within that time.
const LASTS: Duration = Duration::from_secs(10);

/// Until when this process takes one at a time.
#[derive(Default)]
pub(super) struct Wary(Mutex<Option<Instant>>);

impl Wary {
    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Such a message ended the connection.
    pub(super) fn begin(&self) {
        *self.until() = Some(Instant::now() + LASTS);
    }

    /// How much longer, if at all.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.until().as_ref()?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}
