//! When what is due: a heap of times, nothing more.
//!
//! Invariant: a timer that is no longer wanted stays until it is due and is then ignored by its run.
//! Not here: the clock.

use openevent_domain::ambient::Millis;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Timers of all live runs.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Millis, u64, u64)>>);

impl Timers {
    /// Sets a timer of a run's operation.
    pub(crate) fn set(&mut self, at: Millis, handle: u64, op: u64) {
        self.0.push(Reverse((at, handle, op)));
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.0.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes one that is due.
    pub(crate) fn take_due(&mut self, now: Millis) -> Option<(u64, u64)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, handle, op))| (handle, op))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_the_order_they_are_due() {
        let mut timers = Timers::default();
        timers.set(30, 1, 1);
        timers.set(10, 2, 5);
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.take_due(20), Some((2, 5)));
        assert_eq!(timers.take_due(20), None);
    }
}
