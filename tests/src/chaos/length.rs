//! How much of a long row runs: a fault that the matrix lets last for minutes or hours shows in less.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much of each row runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Length {
    /// As much as shows the fault, so that all rows can be run every day.
    #[default]
    Short,
    /// All that the matrix asks for.
    Full,
}

/// The length at which one row runs, and whether it has two.
#[derive(Debug, Clone, Default)]
pub(super) struct Extent {
    length: Length,
    asked: Arc<AtomicBool>,
}

impl Extent {
    pub(super) fn new(length: Length) -> Self {
        Self { length, asked: Arc::default() }
    }

    /// What holds at this length.
    pub(super) fn of<T>(&self, short: T, full: T) -> T {
        self.asked.store(true, Ordering::Relaxed);
        match self.length {
            Length::Short => short,
            Length::Full => full,
        }
    }

    /// Whether the row has two lengths and ran at the full one.
    pub(super) fn is_full(&self) -> bool {
        self.length == Length::Full && self.asked.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_row_that_has_two_lengths_is_full() {
        let (short, full) = (Extent::new(Length::Short), Extent::new(Length::Full));
        assert!(!full.is_full(), "nothing was asked for");
        assert_eq!([short.of(1, 2), full.clone().of(1, 2)], [1, 2]);
        assert!(full.is_full() && !short.is_full());
    }
}
