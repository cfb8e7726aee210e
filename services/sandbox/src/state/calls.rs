//! When calls came, account by account: what a test asks to know whether a limit was kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::limiter::WINDOW;

/// Newest calls of an account whose instants are kept: over an hour at the fastest contract.
const KEPT: usize = 200_000;

/// The calls of every account since the start, refused ones included.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    accounts: Mutex<BTreeMap<Arc<str>, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    calls: u64,
    refused: u64,
    kept: VecDeque<Instant>,
}

/// What is known of an account's calls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Tally {
    /// Calls, refused ones included.
    calls: u64,
    /// Calls that were refused for the rate limit.
    refused: u64,
    /// Most calls in any window of 5 s, exactly, among the newest that are kept.
    busiest: usize,
    /// Milliseconds from the first to the last of those.
    span_ms: u64,
}

impl Calls {
    /// Records a call.
    pub(crate) fn record(&self, account: &Arc<str>, now: Instant, is_refused: bool) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(Arc::clone(account)).or_default();
        account.calls += 1;
        account.refused += u64::from(is_refused);
        if account.kept.len() == KEPT {
            account.kept.pop_front();
        }
        account.kept.push_back(now);
    }

    /// Every account's.
    pub(crate) fn tally(&self) -> BTreeMap<String, Tally> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().map(|(name, account)| (name.to_string(), account.tally())).collect()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Account {
    fn tally(&self) -> Tally {
        // Two tasks may record in another order than their clocks were read.
        let mut instants: Vec<Instant> = self.kept.iter().copied().collect();
        instants.sort_unstable();
        let span = match (instants.first(), instants.last()) {
            (Some(first), Some(last)) => last.duration_since(*first),
            _ => Duration::ZERO,
        };
        Tally {
            calls: self.calls,
            refused: self.refused,
            busiest: busiest(&instants),
            span_ms: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Most of them in any window; they are in order.
fn busiest(instants: &[Instant]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in instants.iter().enumerate() {
        while at.duration_since(instants[first]) >= WINDOW {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_is_found_wherever_it_begins() {
        let start = Instant::now();
        let at =
            |ms: &[u64]| -> Vec<Instant> { ms.iter().map(|ms| start + Duration::from_millis(*ms)).collect() };
        assert_eq!(busiest(&at(&[])), 0);
        assert_eq!(busiest(&at(&[0, 5_000])), 1, "a window is open at its end");
        assert_eq!(busiest(&at(&[0, 4_000, 4_999, 5_000, 8_999, 9_000])), 4);
    }

    #[test]
    fn accounts_are_counted_apart() {
        let (calls, start) = (Calls::default(), Instant::now());
        let [a, b]: [Arc<str>; 2] = ["a".into(), "b".into()];
        calls.record(&a, start + Duration::from_secs(1), false);
        calls.record(&a, start, true);
        calls.record(&b, start, false);
        let tally = calls.tally();
        assert_eq!(tally["a"], Tally { calls: 2, refused: 1, busiest: 2, span_ms: 1_000 });
        assert_eq!(tally["b"], Tally { calls: 1, refused: 0, busiest: 1, span_ms: 0 });
        calls.clear();
        assert!(calls.tally().is_empty());
    }
}
