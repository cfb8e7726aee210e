//! How much of an account each ente took lately, in this replica.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// A call counts half after this time: half of the window in which IO counts.
const HALF: Duration = Duration::from_millis(2_500);
/// An ente took little if another took more than this many times as much.
const MUCH: f64 = 4.0;
/// Below that an ente is forgotten.
const NOTHING: f64 = 0.01;

/// Calls of each ente, fading.
#[derive(Debug, Default)]
pub(crate) struct Recent(HashMap<String, (f64, Instant)>);

impl Recent {
    /// A call was given to an ente.
    pub(crate) fn took(&mut self, ente: String, now: Instant) {
        let calls = self.calls(&ente, now) + 1.0;
        let is_new = self.0.insert(ente, (calls, now)).is_none();
        if is_new {
            self.0.retain(|_, (calls, at)| faded(*calls, *at, now) > NOTHING);
        }
    }

    /// Whether an ente took little of what others took. An ente alone did not.
    pub(crate) fn is_little(&self, ente: &str, now: Instant) -> bool {
        let most = self.0.values().map(|(calls, at)| faded(*calls, *at, now)).fold(0.0, f64::max);
        self.calls(ente, now) * MUCH < most
    }

    fn calls(&self, ente: &str, now: Instant) -> f64 {
        self.0.get(ente).map_or(0.0, |(calls, at)| faded(*calls, *at, now))
    }
}

fn faded(calls: f64, at: Instant, now: Instant) -> f64 {
    calls * 0.5_f64.powf(now.saturating_duration_since(at).as_secs_f64() / HALF.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_a_quarter_of_another_took_little_for_some_seconds() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        assert!(!recent.is_little("rocca", now), "nobody took anything");
        for _ in 0..12 {
            recent.took("borgo".to_owned(), now);
        }
        assert!(recent.is_little("rocca", now) && !recent.is_little("borgo", now));
        for _ in 0..3 {
            recent.took("rocca".to_owned(), now);
        }
        assert!(!recent.is_little("rocca", now), "3 of 12 are a quarter");
        let later = now + 8 * HALF;
        recent.took("rocca".to_owned(), later);
        assert!(recent.is_little("borgo", later), "12 of 20 s ago are less than one of now");
    }

    #[test]
    fn who_took_nothing_for_long_is_forgotten() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        recent.took("borgo".to_owned(), now);
        recent.took("rocca".to_owned(), now + 8 * HALF);
        assert_eq!(recent.0.len(), 1);
    }
}
