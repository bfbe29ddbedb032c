//! Dice that always fall the same: every number comes from a seed and a place.
//!
//! Invariant: the same seed, stream and index give the same throws, whatever was thrown elsewhere, so any part of a
//! season can be made alone.
//! Not here: randomness fit for secrets; the ids made with these dice name demo rows only.

use crate::ambient::Chance;
use std::sync::atomic::{AtomicU64, Ordering};

/// The step of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of throws.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    /// The dice of the thing with this index in a stream of things.
    pub(super) fn of(seed: u64, stream: &str, index: u64) -> Self {
        let name = stream.bytes().fold(seed, |state, byte| mixed(state ^ u64::from(byte)));
        Self(AtomicU64::new(mixed(name ^ index.wrapping_mul(STEP))))
    }

    fn next(&self) -> u64 {
        mixed(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }

    /// A whole number from 0 to below `end`; 0 when there is nothing below it.
    pub(super) fn below(&self, end: u64) -> u64 {
        // The bias of a remainder is far below anything that shows here.
        self.next().checked_rem(end).unwrap_or_default()
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn between(&self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// True in so many of a hundred throws.
    pub(super) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of a list that is not empty.
    pub(super) fn pick<'a, T: ?Sized>(&self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len() as u64) as usize]
    }

    /// So many different ones of a list, in a random order.
    pub(super) fn some<'a>(&self, all: &[&'a str], count: usize) -> Vec<&'a str> {
        let mut left = all.to_vec();
        let count = count.min(left.len());
        (0..count).map(|_| left.swap_remove(self.below(left.len() as u64) as usize)).collect()
    }

    /// A rank below `end`, small ones much more often: about as Zipf saw words are used.
    pub(super) fn rank(&self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (end.max(1) as f64).powf(unit) - 1.0;
        (rank as u64).min(end.saturating_sub(1))
    }
}

impl Chance for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_depend_on_seed_stream_and_index_alone() {
        let throws = |seed, stream, index| {
            let dice = Dice::of(seed, stream, index);
            [dice.below(1_000_000), dice.below(1_000_000)]
        };
        assert_eq!(throws(1, "event", 7), throws(1, "event", 7));
        for other in [throws(2, "event", 7), throws(1, "vendor", 7), throws(1, "event", 8)] {
            assert_ne!(other, throws(1, "event", 7));
        }
    }

    #[test]
    fn small_ranks_are_common_and_large_ones_rare_but_there() {
        let dice = Dice::of(1, "rank", 0);
        let ranks: Vec<_> = (0..10_000).map(|_| dice.rank(10_000)).collect();
        let below = |end| ranks.iter().filter(|rank| **rank < end).count();
        assert!(below(100) > 4_000 && below(100) < 6_000, "{}", below(100));
        assert!(below(1_000) < 8_500 && ranks.iter().all(|rank| *rank < 10_000));
    }

    #[test]
    fn some_are_different_ones() {
        let dice = Dice::of(3, "some", 0);
        let mut some = dice.some(&["a", "b", "c"], 5);
        some.sort_unstable();
        assert_eq!(some, ["a", "b", "c"]);
        assert_eq!(dice.below(0), 0);
    }
}
