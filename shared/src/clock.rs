//! The fleet's clock: the only place that reads the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the time. Clones share one offset, which is zero outside tests.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock. In a test build `PROMEMORIA_TEST_CLOCK_AHEAD_MS` sets it wrong.
    #[must_use]
    pub fn system() -> Self {
        let clock = Self::default();
        #[cfg(feature = "virtual-time")]
        if let Some(ahead) =
            std::env::var("PROMEMORIA_TEST_CLOCK_AHEAD_MS").ok().and_then(|ms| ms.parse().ok())
        {
            clock.set_offset_ms(ahead);
        }
        clock
    }

    /// Whether this clock and the store's may differ: only in a test build, whose tests move the store's,
    /// and not there either where `PROMEMORIA_TEST_CLOCKS=agree` asks for the comparison.
    #[must_use]
    pub fn may_differ() -> bool {
        cfg!(feature = "virtual-time")
            && std::env::var_os("PROMEMORIA_TEST_CLOCKS").is_none_or(|clocks| clocks != "agree")
    }

    /// The present instant.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Sets how far this clock is ahead of the machine's, in milliseconds; negative is behind.
    #[cfg(any(test, feature = "virtual-time", feature = "testing"))]
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_every_clone() {
        let clock = Clock::system();
        let clone = clock.clone();
        let before = clock.now();
        clock.set_offset_ms(86_400_000);
        assert!(clone.now() - before >= TimeDelta::days(1));
    }
}
