//! What is counted while the mix runs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;

use super::doubts::at_most;
use super::fault::{Fault, KINDS, Roll};
use super::record::{Hit, Largest};

/// Bounds of I7 for each process.
const MOST_MIB: u64 = 512;
const MOST_FILES: usize = 1000;
/// Faults that are named where something broke.
const NAMED: usize = 6;

/// The count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Every fault in its order, in words.
    faults: Vec<String>,
    /// How often each kind came, and the doubts that it may have left.
    kinds: BTreeMap<Fault, (usize, usize)>,
    /// How often everything was over.
    pub(super) rests: usize,
    /// The longest that took.
    pub(super) slowest: Duration,
    /// The largest that any process was.
    pub(super) largest: Largest,
}

impl Tally {
    /// A fault that is about to be injected; in one line.
    pub(super) fn begins(&mut self, roll: &Roll) -> String {
        self.faults.push(roll.words());
        self.kinds.entry(roll.fault).or_default().0 += 1;
        format!("{:>4} {}", self.faults.len(), roll.words())
    }

    /// It was injected, and cut so many answers of IO.
    pub(super) fn ended(&mut self, roll: &Roll, cut_answers: usize) {
        self.kinds.entry(roll.fault).or_default().1 += at_most(roll, cut_answers);
    }

    /// Everything was over so long after the last fault.
    pub(super) fn rested(&mut self, took: Duration) {
        self.rests += 1;
        self.slowest = self.slowest.max(took);
    }

    /// Doubts that those so far may have left.
    pub(super) fn doubts(&self) -> usize {
        self.kinds.values().map(|(_, doubts)| doubts).sum()
    }

    /// Panics that were asked for.
    pub(super) fn panics(&self) -> usize {
        self.kinds.get(&Fault::Panicked).map_or(0, |(times, _)| *times)
    }

    /// The kinds that came.
    pub(super) fn hits(&self) -> Vec<Hit> {
        let came = KINDS.iter().filter_map(|(fault, row, words)| {
            let (times, doubts) = *self.kinds.get(fault)?;
            Some(Hit { row: (*row).to_owned(), fault: (*words).to_owned(), times, doubts })
        });
        came.collect()
    }

    /// Memory (KiB) and open files of each process, by I7.
    pub(super) fn weigh(&mut self, sizes: &[(&'static str, u64, usize)]) -> anyhow::Result<()> {
        for (service, kib, files) in sizes {
            let mib = kib / 1024;
            ensure!(mib < MOST_MIB && *files < MOST_FILES, "I7: {service}: {mib} MiB, {files} open files");
            self.largest.mib = self.largest.mib.max(mib);
            self.largest.files = self.largest.files.max(*files);
        }
        Ok(())
    }

    /// Where the run is, for whoever reads what broke.
    pub(super) fn place(&self) -> String {
        let all = self.faults.len();
        let Some((last, before)) = self.faults.split_last() else {
            return "before the first fault".to_owned();
        };
        let named: Vec<&str> = before.iter().rev().take(NAMED).map(String::as_str).collect();
        format!("fault {all}, {last}; before it, the last first: {}", named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::dice::Dice;
    use crate::chaos::soak::CONCURRENCY;

    fn roll(fault: Fault) -> Roll {
        Roll { service: "dispatcher", ..Roll::next(&mut Dice::new(7), &[fault]) }
    }

    #[test]
    fn doubts_are_summed_and_kinds_counted() {
        let mut tally = Tally::default();
        for (fault, cut) in
            [(Fault::Killed, 0), (Fault::AnswerReset, 2), (Fault::Killed, 0), (Fault::Panicked, 0)]
        {
            tally.begins(&roll(fault));
            tally.ended(&roll(fault), cut);
        }
        assert_eq!((tally.doubts(), tally.panics()), (2 * CONCURRENCY + 2, 1));
        let hits: Vec<(String, usize, usize)> =
            tally.hits().into_iter().map(|hit| (hit.row, hit.times, hit.doubts)).collect();
        let hit = |row: &str, times, doubts| (row.to_owned(), times, doubts);
        assert_eq!(hits, [hit("F15", 2, 2 * CONCURRENCY), hit("F18", 1, 0), hit("F49", 1, 2)]);
    }

    #[test]
    fn a_process_beyond_its_bounds_is_found_and_the_largest_is_kept() {
        let mut tally = Tally::default();
        tally.weigh(&[("renderer", 20 * 1024, 30), ("dispatcher", 10 * 1024, 40)]).expect("within");
        tally.weigh(&[("renderer", 15 * 1024, 20)]).expect("within");
        assert_eq!((tally.largest.mib, tally.largest.files), (20, 40));
        assert!(tally.weigh(&[("renderer", 600 * 1024, 20)]).is_err());
        assert!(tally.weigh(&[("renderer", 20 * 1024, 1000)]).is_err());
    }

    #[test]
    fn the_place_names_the_last_faults() {
        let mut tally = Tally::default();
        assert_eq!(tally.place(), "before the first fault");
        for fault in [Fault::RedisEmptied, Fault::Throttled] {
            tally.begins(&roll(fault));
        }
        assert_eq!(tally.place(), "fault 2, Throttled; before it, the last first: RedisEmptied");
    }
}
