//! Faults on demand: the n-th store call from now fails as if the database were away.
//!
//! Invariant: off unless a test arms it; then exactly one call fails.
//! Not here: real faults.

use crate::Error;
use std::sync::atomic::{AtomicI64, Ordering};

/// A countdown to one failing call.
#[derive(Debug, Default)]
pub struct Faults {
    left: AtomicI64,
}

impl Faults {
    /// Lets the n-th call from now (the first is 1) fail; 0 disarms.
    pub fn arm(&self, n: i64) {
        self.left.store(n, Ordering::SeqCst);
    }

    /// Whether an armed fault has not struck yet.
    pub fn is_armed(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    /// Counts a call.
    pub(crate) fn pass(&self) -> Result<(), Error> {
        if self.left.load(Ordering::Relaxed) > 0 && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            return Err(Error::away("a fault was asked for"));
        }
        Ok(())
    }
}
