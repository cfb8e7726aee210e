//! What is written down of a run that held, and its section of the page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chaos::result::Report;

/// Runs that the page keeps, the newest ones.
const KEPT: usize = 10;

/// A run of the mix that held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Soak {
    /// It chose everything.
    pub seed: u64,
    /// How long faults were injected.
    pub minutes: u64,
    /// The day, `2026-11-22`.
    pub day: String,
    /// The brokers, as they name themselves.
    pub brokers: String,
    /// Kinds of faults that the seed chose from all.
    pub kinds: usize,
    /// Those that came.
    pub faults: Vec<Hit>,
    /// How often everything was over.
    pub rests: usize,
    /// The longest that took after the last fault, seconds.
    pub slowest_s: u64,
    /// The largest that any process was.
    pub largest: Largest,
    /// The checker's counts.
    pub report: Report,
}

/// A kind of fault in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The row of the matrix whose way it goes.
    pub row: String,
    /// The fault.
    pub fault: String,
    /// How often it came.
    pub times: usize,
    /// Doubts that it was allowed, all times together.
    pub doubts: usize,
}

/// The largest that any process of the fleet was, looked at after each fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Largest {
    /// Resident memory, MiB.
    pub mib: u64,
    /// Open files.
    pub files: usize,
}

impl Soak {
    /// Faults that came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.faults.iter().map(|hit| hit.times).sum()
    }

    /// Doubts that all of them were allowed.
    #[must_use]
    pub fn most_doubts(&self) -> usize {
        self.faults.iter().map(|hit| hit.doubts).sum()
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} faults of {} kinds, {} doubts at most, {} rests, the slowest {} s, at most {} MiB and {} open files; {}",
            self.count(),
            self.faults.len(),
            self.most_doubts(),
            self.rests,
            self.slowest_s,
            self.largest.mib,
            self.largest.files,
            self.report.line()
        )
    }

    fn row(&self) -> String {
        let Self { seed, minutes, day, brokers, report, largest, .. } = self;
        format!(
            "| {seed} | {minutes} | {day}, {brokers} | {} | {} | {} of {} at most | {} | {} | {} s | {} MiB, {} |\n",
            self.count(),
            report.acknowledged,
            report.in_doubt,
            self.most_doubts(),
            report.lost.len() + report.unexpected.len(),
            report.duplicated,
            self.slowest_s,
            largest.mib,
            largest.files,
        )
    }
}

/// Puts a run before those of before, in the place of one of the same seed that was no longer.
pub(in crate::chaos) fn keep(soaks: &mut Vec<Soak>, newer: &Soak) {
    soaks.retain(|older| older.seed != newer.seed || older.minutes > newer.minutes);
    soaks.insert(0, newer.clone());
    soaks.truncate(KEPT);
}

/// The section of the page; nothing if there was no run.
pub(in crate::chaos) fn section(soaks: &[Soak]) -> String {
    if soaks.is_empty() {
        return String::new();
    }
    let mut section = INTRODUCTION.to_owned();
    section.extend(soaks.iter().map(Soak::row));
    section.push_str(
        "\nWhat came in these runs:\n\n| row | fault | times | doubts allowed |\n| --- | --- | --- | --- |\n",
    );
    let all = together(soaks).into_iter();
    section.extend(
        all.map(|((row, fault), (times, doubts))| format!("| {row} | {fault} | {times} | {doubts} |\n")),
    );
    section
}

/// Each kind in all runs: how often, and the doubts allowed.
fn together(soaks: &[Soak]) -> BTreeMap<(&str, &str), (usize, usize)> {
    let mut all = BTreeMap::<_, (usize, usize)>::new();
    for hit in soaks.iter().flat_map(|soak| &soak.faults) {
        let (times, doubts) = all.entry((hit.row.as_str(), hit.fault.as_str())).or_default();
        *times += hit.times;
        *doubts += hit.doubts;
    }
    all
}

/// What stands above the runs.
const INTRODUCTION: &str = include_str!("record.md");

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(seed: u64, minutes: u64) -> Soak {
        let hit = Hit { row: "F36".to_owned(), fault: "FLUSHALL".to_owned(), times: 2, doubts: 16 };
        Soak {
            seed,
            minutes,
            day: "2026-11-22".to_owned(),
            brokers: "RabbitMQ and Redis".to_owned(),
            kinds: 5,
            faults: vec![hit],
            rests: 1,
            slowest_s: 3,
            largest: Largest { mib: 30, files: 40 },
            report: Report { acknowledged: 40, in_doubt: 1, ..Report::default() },
        }
    }

    #[test]
    fn a_run_takes_the_place_of_one_of_its_seed_that_was_no_longer() {
        let mut soaks = Vec::new();
        for (seed, minutes) in [(1, 30), (2, 5), (2, 5), (1, 5)] {
            keep(&mut soaks, &soak(seed, minutes));
        }
        let kept: Vec<(u64, u64)> = soaks.iter().map(|soak| (soak.seed, soak.minutes)).collect();
        assert_eq!(kept, [(1, 5), (2, 5), (1, 30)]);
        (10..30).for_each(|seed| keep(&mut soaks, &soak(seed, 5)));
        assert_eq!((soaks.len(), soaks[0].seed), (KEPT, 29));
    }

    #[test]
    fn the_section_shows_each_run_and_each_kind_of_all() {
        assert_eq!(section(&[]), "");
        let section = section(&[soak(1, 30), soak(2, 5)]);
        assert!(section.contains("| 2 | 5 | 2026-11-22, RabbitMQ and Redis | 2 | 40 | 1 of 16 at most | 0 | 0 | 3 s | 30 MiB, 40 |"), "{section}");
        assert!(section.contains("| F36 | FLUSHALL | 4 | 32 |"), "{section}");
    }
}
