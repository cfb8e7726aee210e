//! Chance that can be had again: the same seed gives the same numbers on every machine.

use std::time::Duration;

/// A generator of numbers (`SplitMix64`, Steele, Lea and Flood, 2014): small, and good enough to choose faults.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// With a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A time between two, in milliseconds.
    pub(super) fn between(&mut self, from_ms: usize, to_ms: usize) -> Duration {
        let ms = from_ms + self.below(to_ms - from_ms);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        let rolls: Vec<usize> = (0..20).map(|_| a.below(6)).collect();
        assert!(rolls.iter().all(|roll| *roll < 6));
        assert_eq!(rolls, (0..20).map(|_| b.below(6)).collect::<Vec<_>>());
        assert_ne!(rolls, (0..20).map(|_| Dice::new(8).below(6)).collect::<Vec<_>>());
    }
}
