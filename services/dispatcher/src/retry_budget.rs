//! How many of an account's calls may be repetitions: a small share of the fresh ones, so that IO, when it is
//! ill, is asked less and not more (M. Brooker, "Fixing retries with token buckets and circuit breakers",
//! 2022). Pure: time is an argument.
//!
//! The breaker stops an account that fails altogether; this bounds one that fails a little for a long time.

/// Fresh messages that pay for one repetition: extra calls stay at a tenth.
const FRESH_PER_EXTRA: u64 = 10;
/// Repetitions that may be saved up: a short fault costs nobody a wait.
const MOST: u64 = 10;
/// Without traffic of its own an account earns one in this time, or the messages that failed in an outage of
/// the night would wait until the morning. What the fresh ones earn counts towards it.
const TRICKLE_MS: u64 = 1_000;
/// Milliseconds of trickle that a fresh message is worth.
const FRESH_MS: u64 = TRICKLE_MS / FRESH_PER_EXTRA;
const MOST_MS: u64 = TRICKLE_MS * MOST;

/// The bucket of one account in one replica, full at first. It holds milliseconds of trickle, so that both
/// ways of earning are whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct RetryBudget {
    saved_ms: u64,
    /// Up to when time has been earned; ahead of now by what the fresh ones earned beyond it.
    earned_to_ms: u64,
}

impl RetryBudget {
    /// Full, at an instant: milliseconds since any fixed beginning.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { saved_ms: MOST_MS, earned_to_ms: now_ms }
    }

    /// A message goes for the first time.
    pub fn fresh(&mut self, now_ms: u64) {
        self.trickle(now_ms);
        self.save(FRESH_MS);
        // Not far ahead: what a busy hour earned must not leave a quiet one without.
        let ahead = (self.earned_to_ms + FRESH_MS).min(now_ms + TRICKLE_MS);
        self.earned_to_ms = self.earned_to_ms.max(ahead);
    }

    /// A message would go again after a call that failed. Returns whether it may now.
    #[must_use]
    pub fn extra(&mut self, now_ms: u64) -> bool {
        self.trickle(now_ms);
        let rest = self.saved_ms.checked_sub(TRICKLE_MS);
        self.saved_ms = rest.unwrap_or(self.saved_ms);
        rest.is_some()
    }

    /// Time that steps back earns nothing.
    fn trickle(&mut self, now_ms: u64) {
        self.save(now_ms.saturating_sub(self.earned_to_ms));
        self.earned_to_ms = self.earned_to_ms.max(now_ms);
    }

    fn save(&mut self, ms: u64) {
        self.saved_ms = self.saved_ms.saturating_add(ms).min(MOST_MS);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(budget: &mut RetryBudget, now_ms: u64, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(budget.extra(now_ms))).sum()
    }

    #[test]
    fn what_is_saved_goes_at_once_and_then_one_in_ten_fresh() {
        let mut budget = RetryBudget::new(0);
        assert_eq!(taken(&mut budget, 0, 50), 10);
        for fresh in 1..=30 {
            budget.fresh(0);
            assert_eq!(taken(&mut budget, 0, 5), u32::from(fresh % 10 == 0), "{fresh}");
        }
    }

    #[test]
    fn without_fresh_ones_one_a_second_goes_and_no_more_is_saved_than_ten() {
        let mut budget = RetryBudget::new(0);
        assert_eq!(taken(&mut budget, 0, 50), 10);
        assert_eq!(taken(&mut budget, 999, 5), 0);
        assert_eq!(taken(&mut budget, 1_000, 5), 1);
        assert_eq!(taken(&mut budget, 3_600_000, 50), 10);
    }

    /// A grey half hour at 15 messages a second: every fifth fails and is tried again, again and again.
    #[test]
    fn half_an_hour_of_every_fifth_call_failing_stays_within_a_tenth() {
        let mut budget = RetryBudget::new(0);
        let (mut fresh, mut extra, mut waiting) = (0_u64, 0_u64, 0_u64);
        for tick in 0..30 * 60 * 15 {
            let now_ms = tick * 1_000 / 15;
            budget.fresh(now_ms);
            fresh += 1;
            waiting += u64::from(tick % 5 == 0);
            if waiting > 0 && budget.extra(now_ms) {
                extra += 1;
                // Every fifth of these fails too.
                waiting -= u64::from(extra % 5 != 0);
            }
        }
        assert!(extra <= fresh / 10 + MOST, "{extra} beside {fresh}");
        assert!(extra >= fresh / 11, "what is allowed is used: {extra} beside {fresh}");
    }

    proptest! {
        #[test]
        fn extras_never_exceed_a_tenth_of_the_fresh_ones_or_one_a_second(
            steps in proptest::collection::vec((any::<bool>(), prop_oneof![Just(0_u64), 0_u64..3_000]), 1..400)
        ) {
            let mut budget = RetryBudget::new(0);
            let (mut now_ms, mut fresh, mut extra) = (0_u64, 0_u64, 0_u64);
            for (is_fresh, passed) in steps {
                now_ms += passed;
                if is_fresh {
                    budget.fresh(now_ms);
                    fresh += 1;
                } else {
                    extra += u64::from(budget.extra(now_ms));
                }
                let most = MOST + fresh / FRESH_PER_EXTRA + now_ms / TRICKLE_MS + 1;
                prop_assert!(extra <= most, "{} after {} fresh and {} ms", extra, fresh, now_ms);
            }
        }

        /// From twenty fresh ones a second on, time adds nothing to the tenth.
        #[test]
        fn a_busy_account_keeps_to_a_tenth(gaps in proptest::collection::vec(1_u64..50, 1..2_000)) {
            let mut budget = RetryBudget::new(0);
            let (mut now_ms, mut fresh, mut extra) = (0_u64, 0_u64, 0_u64);
            for gap in gaps {
                now_ms += gap;
                budget.fresh(now_ms);
                fresh += 1;
                extra += u64::from(budget.extra(now_ms));
            }
            prop_assert!(extra <= MOST + fresh / FRESH_PER_EXTRA + 1, "{} beside {}", extra, fresh);
        }

        #[test]
        fn time_that_steps_back_earns_nothing(back in 1_u64..10_000_000) {
            let start = 10_000_000;
            let mut budget = RetryBudget::new(start);
            prop_assert_eq!(taken(&mut budget, start, 50), 10);
            prop_assert_eq!(taken(&mut budget, start - back, 50), 0);
            prop_assert_eq!(taken(&mut budget, start, 50), 0);
        }
    }
}
