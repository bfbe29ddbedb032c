//! A clock that stands still until told to move.
//!
//! Invariant: clones show the same time.
//! Not here: waking timers; code under test is given `now` and ticked by the test.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// Unix time in milliseconds, set by the test. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FakeClock {
    now_ms: Arc<AtomicI64>,
}

impl FakeClock {
    /// A clock showing `now_ms`.
    pub fn at(now_ms: i64) -> Self {
        Self { now_ms: Arc::new(AtomicI64::new(now_ms)) }
    }

    /// The time it shows, in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    /// Puts the hands to `now_ms`, backwards too.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Moves on by `by_ms` and returns the new time.
    pub fn advance(&self, by_ms: i64) -> i64 {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst) + by_ms
    }
}

impl Default for FakeClock {
    /// 1 January 2026, 00:00 UTC.
    fn default() -> Self {
        Self::at(1_767_225_600_000)
    }
}
