//! Faults on demand: the n-th store call from now fails as if the database were away.
//!
//! Invariant: off unless a test arms it; then exactly one call fails.
//! Not here: real faults.

use crate::Error;
use std::sync::atomic::{AtomicI64, Ordering};

/// Countdowns to one failing call each.
#[derive(Debug, Default)]
pub struct Faults {
    calls: Countdown,
    answers: Countdown,
}

impl Faults {
    /// Lets the n-th call from now (the first is 1) fail before anything is done; 0 disarms.
    pub fn arm(&self, n: i64) {
        self.calls.set(n);
    }

    /// Lets the n-th set from now be written and then reported as failed, as when a connection breaks between
    /// a commit and its answer; 0 disarms.
    pub fn arm_answer(&self, n: i64) {
        self.answers.set(n);
    }

    /// Whether an armed fault has not struck yet.
    pub fn is_armed(&self) -> bool {
        self.calls.runs() || self.answers.runs()
    }

    /// Counts a call.
    pub(crate) fn pass(&self) -> Result<(), Error> {
        self.calls.pass("a fault was asked for")
    }

    /// Counts a set that was written.
    pub(crate) fn pass_answer(&self) -> Result<(), Error> {
        self.answers.pass("an answer was to be lost")
    }
}

#[derive(Debug, Default)]
struct Countdown(AtomicI64);

impl Countdown {
    fn set(&self, n: i64) {
        self.0.store(n, Ordering::SeqCst);
    }

    fn runs(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    fn pass(&self, words: &str) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) > 0 && self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            return Err(Error::away(words));
        }
        Ok(())
    }
}
