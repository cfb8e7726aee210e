//! The rate limit of one account: so many calls in any 5 seconds, over all its services and operations.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Length of the sliding window (APIM product policy of the IO API).
pub(crate) const WINDOW: Duration = Duration::from_secs(5);

/// A sliding window. Calls that it refuses do not count.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Calls allowed in a window; 0 is no limit.
    calls: usize,
    taken: Mutex<VecDeque<Instant>>,
}

/// What the limiter says of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// No limit.
    Unlimited,
    /// Admitted; calls left in the window.
    Admitted { remaining: usize },
    /// Refused; whole seconds to wait, at least 1.
    Refused { retry_after: u64 },
}

impl Limiter {
    pub(super) fn new(calls: usize) -> Self {
        Self { calls, taken: Mutex::default() }
    }

    /// Asks for one call at `now`.
    pub(super) fn admit(&self, now: Instant) -> Admission {
        if self.calls == 0 {
            return Admission::Unlimited;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.front().is_some_and(|&call| now.saturating_duration_since(call) >= WINDOW) {
            taken.pop_front();
        }
        match taken.front() {
            Some(&oldest) if taken.len() >= self.calls => {
                let wait = WINDOW.saturating_sub(now.saturating_duration_since(oldest));
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Admission::Refused { retry_after: seconds.max(1) }
            }
            _ => {
                taken.push_back(now);
                Admission::Admitted { remaining: self.calls - taken.len() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides() {
        let (limiter, start) = (Limiter::new(2), Instant::now());
        let at = |millis| limiter.admit(start + Duration::from_millis(millis));
        assert_eq!(at(0), Admission::Admitted { remaining: 1 });
        assert_eq!(at(2_000), Admission::Admitted { remaining: 0 });
        assert_eq!(at(2_100), Admission::Refused { retry_after: 3 });
        assert_eq!(at(4_999), Admission::Refused { retry_after: 1 });
        assert_eq!(at(5_000), Admission::Admitted { remaining: 0 });
        assert_eq!(at(6_500), Admission::Refused { retry_after: 1 });
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Limiter::new(0).admit(Instant::now()), Admission::Unlimited);
    }
}
