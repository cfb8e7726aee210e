//! Noticing that the store lost something: it came back empty, or as an old copy.
//!
//! Each ente has a mark in the store, an instant of Redis' own clock that every claim moves forward. A
//! process remembers the highest mark it saw; a store whose mark is missing or lower has lost what came
//! since. A process that has just started has seen none: it trusts a mark only if it was set after its
//! start, because only a process that knows the store to be whole sets it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a process knows of the enti's marks; clones share it.
#[derive(Debug, Clone)]
pub struct Marks {
    started_ms: i64,
    enti: Arc<Mutex<HashMap<String, Known>>>,
    bell: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Highest mark seen, if any.
    seen_ms: Option<i64>,
    /// The store's mark was lower, or missing, when it was looked at last.
    lost: bool,
}

impl Marks {
    /// None seen yet by a process that started at this instant of Redis' clock, Unix milliseconds.
    #[must_use]
    pub fn new(started_ms: i64) -> Self {
        Self { started_ms, enti: Arc::default(), bell: Arc::default() }
    }

    /// The lowest mark of an ente at which the store is whole, Unix milliseconds.
    #[must_use]
    pub fn least(&self, ente: &str) -> i64 {
        self.enti().get(ente).and_then(|known| known.seen_ms).unwrap_or(self.started_ms)
    }

    /// Notes the mark of a store that is whole.
    pub fn whole(&self, ente: &str, mark_ms: i64) {
        let mut all = self.enti();
        match all.get_mut(ente) {
            Some(known) => *known = Known { seen_ms: known.seen_ms.max(Some(mark_ms)), lost: false },
            None => {
                all.insert(ente.to_owned(), Known { seen_ms: Some(mark_ms), lost: false });
            }
        }
    }

    /// Notes that the store's mark is missing or too low.
    pub fn lost(&self, ente: &str) {
        self.enti().entry(ente.to_owned()).or_default().lost = true;
        self.bell.notify_one();
    }

    /// Whether the store was found lacking when it was looked at last.
    #[must_use]
    pub fn is_lost(&self, ente: &str) -> bool {
        self.enti().get(ente).is_some_and(|known| known.lost)
    }

    /// Whether this process ever saw the ente whole.
    #[must_use]
    pub fn was_whole(&self, ente: &str) -> bool {
        self.enti().get(ente).is_some_and(|known| known.seen_ms.is_some())
    }

    /// Waits until some ente is found lacking.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    fn enti(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.enti.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_trusts_only_marks_set_after_its_start() {
        let marks = Marks::new(1_000);
        assert_eq!(marks.least("borgo"), 1_000);
        marks.lost("borgo");
        assert!(marks.is_lost("borgo") && !marks.was_whole("borgo"));
        marks.whole("borgo", 1_500);
        assert!(!marks.is_lost("borgo") && marks.was_whole("borgo"));
        assert_eq!((marks.least("borgo"), marks.least("rocca")), (1_500, 1_000));
    }

    #[test]
    fn what_was_seen_is_never_forgotten() {
        let marks = Marks::new(0);
        marks.whole("borgo", 2_000);
        marks.whole("borgo", 1_000);
        marks.lost("borgo");
        assert_eq!(marks.least("borgo"), 2_000);
    }
}
