//! Fixed-window rate limits: which window a moment belongs to, and what is left of it.
//!
//! Invariant: windows are aligned to the clock (the hour, the minute), so every node agrees on them.
//! Not here: where counts are kept.

use crate::ambient::Millis;

/// One clock hour.
pub const HOUR_MS: i64 = 3_600_000;
/// One clock minute.
pub const MINUTE_MS: i64 = 60_000;
/// Calls an hour for a key without an override (contract §3).
pub const DEFAULT_PER_HOUR: u32 = 1_000;

/// How many calls a window of the clock admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Calls per window.
    pub calls: u32,
    /// The window's length.
    pub window_ms: i64,
}

impl Limit {
    /// A limit per clock hour.
    pub fn per_hour(calls: u32) -> Self {
        Self { calls, window_ms: HOUR_MS }
    }

    /// A limit per clock minute.
    pub fn per_minute(calls: u32) -> Self {
        Self { calls, window_ms: MINUTE_MS }
    }

    /// The start of the window that `now` is in.
    pub fn window_start(self, now: Millis) -> Millis {
        now.div_euclid(self.window_ms) * self.window_ms
    }

    /// When that window ends.
    pub fn reset(self, now: Millis) -> Millis {
        self.window_start(now) + self.window_ms
    }
}

/// What a limit said to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Calls the window admits.
    pub limit: u32,
    /// Calls left after this one.
    pub remaining: u32,
    /// When the window ends, Unix milliseconds.
    pub reset: Millis,
    /// Whether this call may go on.
    pub admitted: bool,
}

impl Verdict {
    /// Whole seconds until the window ends, at least one.
    pub fn retry_after_s(&self, now: Millis) -> i64 {
        ((self.reset - now) + 999).div_euclid(1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_the_clock_hour() {
        let limit = Limit::per_hour(10);
        assert_eq!(limit.window_start(HOUR_MS + 1), HOUR_MS);
        assert_eq!(limit.reset(HOUR_MS + 1), 2 * HOUR_MS);
        let verdict = Verdict { limit: 10, remaining: 0, reset: 2 * HOUR_MS, admitted: false };
        assert_eq!(verdict.retry_after_s(2 * HOUR_MS - 1), 1);
    }
}
