//! How long recovery may take (G5), row by row.
//!
//! `PROMISED` is the table; [`Stopwatch`] is what a row holds its times against. A row of the table that measures
//! nothing is broken.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Until the fleet says that something is wrong.
    Found,
    /// The longest time without a confirm.
    Gap,
    /// Until every event came to its end.
    Over,
    /// Until a process that was asked to stop has ended.
    Ended,
}

impl Measure {
    fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Gap => "no gap beyond",
            Self::Over => "over",
            Self::Ended => "ended",
        }
    }
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// What.
    pub what: Measure,
    /// How long.
    pub limit: Duration,
    /// Since when, and what the time is made of.
    pub since: &'static str,
}

impl Within {
    /// In words, for the page.
    #[must_use]
    pub fn words(&self) -> String {
        let join = if self.what == Measure::Gap { "" } else { "within " };
        format!("{} {join}{} s {}", self.what.word(), self.limit.as_secs(), self.since)
    }
}

/// A process that starts, and the lease of the one that died: 3 s in a trial.
const CRASH: (Measure, u64, &str) =
    (Measure::Over, 33, "of the crash: a lease of 3 s, and 30 s for another process to start");
/// From here on a publisher of ours is confirmed.
const BROKER: (Measure, u64, &str) = (Measure::Over, 10, "of the broker's accepting connections");
const REDIS: (Measure, u64, &str) = (Measure::Over, 10, "of Redis's answering");
/// A poll, which is 100 ms in a trial, and a look at `/readyz`.
const LOSS: (Measure, u64, &str) =
    (Measure::Found, 1, "of the loss: a poll of 100 ms, and the look at `/readyz`");
const REBUILT: (Measure, u64, &str) =
    (Measure::Over, 10, "of the loss, or of Redis's answering without what it had");
/// `shutdown.grace` of the row, and what is left of a pod's time when its own has elapsed (k8s/base/pod.yaml): last
/// confirms and acknowledgements, and the goodbyes, each with its own bound where nobody answers.
const STOP: (Measure, u64, &str) =
    (Measure::Ended, 11, "of SIGTERM: a grace of 1 s, and the 10 s that a pod has beyond its own");
const ALARM: (Measure, u64, &str) = (Measure::Over, 5, "of the alarm's end");

/// The times of the rows.
const PROMISED: [(&str, (Measure, u64, &str)); 34] = [
    ("F01", CRASH),
    ("F02", CRASH),
    ("F03", CRASH),
    ("F04", CRASH),
    ("F05", CRASH),
    ("F06", CRASH),
    ("F07", CRASH),
    ("F08", CRASH),
    ("F09", CRASH),
    ("F10", CRASH),
    ("F11", CRASH),
    ("F12", CRASH),
    ("F13", CRASH),
    ("F14", CRASH),
    ("F17", STOP),
    ("F20", BROKER),
    ("F21", BROKER),
    ("F22", (Measure::Gap, 5, "between two confirms")),
    ("F22", (Measure::Over, 10, "of the cluster's being whole")),
    ("F23", (Measure::Over, 10, "of the cluster's confirming a publisher's event again")),
    ("F24", (Measure::Over, 10, "of the cluster's being whole")),
    ("F25", ALARM),
    ("F26", ALARM),
    ("F27", (Measure::Found, 25, "of the first silence")),
    ("F27", (Measure::Over, 10, "of the network's being whole")),
    ("F28", (Measure::Over, 10, "of the deletion")),
    ("F29", (Measure::Over, 13, "of the deletion: 10 s to subscribe again, a lease of 3 s for what it held")),
    ("F35", REDIS),
    ("F36", LOSS),
    ("F36", REBUILT),
    ("F37", LOSS),
    ("F37", REBUILT),
    ("F39", (Measure::Over, 10, "of the network's being whole")),
    ("F40", REDIS),
];

/// What a row promises.
pub(super) fn of(row: &str) -> Vec<Within> {
    let ours = PROMISED.iter().filter(|(id, _)| *id == row);
    ours.map(|(_, (what, s, since))| Within { what: *what, limit: Duration::from_secs(*s), since }).collect()
}

/// Holds times against what a row promises, and remembers which were held.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopwatch {
    within: Vec<Within>,
    held: Arc<Mutex<BTreeSet<Measure>>>,
}

impl Stopwatch {
    pub(super) fn new(within: Vec<Within>) -> Self {
        Self { within, held: Arc::default() }
    }

    /// A time that was measured.
    pub(super) fn hold(&self, what: Measure, took: Duration) -> anyhow::Result<()> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
        for within in self.within.iter().filter(|within| within.what == what) {
            ensure!(took <= within.limit, "I5: {:.1} s, not {}", took.as_secs_f64(), within.words());
        }
        Ok(())
    }

    /// That everything which is promised was measured.
    pub(super) fn complete(&self) -> anyhow::Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = self.within.iter().find(|within| !held.contains(&within.what));
        ensure!(missing.is_none(), "I5: promised and not measured: {missing:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_its_bound_and_one_never_measured_are_found() {
        let watch = Stopwatch::new(of("F27"));
        assert!(watch.complete().is_err());
        watch.hold(Measure::Found, Duration::from_secs(25)).expect("in time");
        let error = watch.hold(Measure::Found, Duration::from_millis(25_001)).expect_err("late").to_string();
        assert!(error.starts_with("I5: 25.0 s, not found within 25 s"), "{error}");
        assert!(watch.complete().is_err(), "its end was not measured");
        watch.hold(Measure::Over, Duration::ZERO).expect("in time");
        watch.complete().expect("all of it");
    }

    #[test]
    fn every_promise_is_of_a_row() {
        let rows = super::super::matrix::matrix();
        for (id, _) in PROMISED {
            assert!(rows.iter().any(|row| row.id == id), "{id}");
        }
    }
}
