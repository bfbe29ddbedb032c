//! When the clock starts a workflow: `schedule.every`, `schedule.cron` and `schedule.after`.
//!
//! Invariant: the next time is computed from times given; nothing here reads a clock. Not here: events (`event`).

/// The clock's part of `schedule`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    pub(crate) every_ms: Option<i64>,
    pub(crate) after_ms: Option<i64>,
}

impl Schedule {
    /// The first start after `now` (Unix milliseconds) by `every`, counted from `since`, or by `cron`. Starts
    /// missed in between are not told: whoever was away starts once and asks again.
    pub fn next(&self, since: i64, now: i64) -> Option<i64> {
        let every = self.every_ms?.max(1);
        Some(since.saturating_add(
            ((now.saturating_sub(since)).max(0) / every).saturating_add(1).saturating_mul(every),
        ))
    }

    /// How long after the end of a run the next one starts: `after`.
    pub fn after_ms(&self) -> Option<i64> {
        self.after_ms
    }
}
