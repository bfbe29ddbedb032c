//! When the clock starts a workflow: `schedule.every`, `schedule.cron` and `schedule.after`.
//!
//! Invariant: the next time is computed from times given and from time zones compiled in; nothing here reads a clock
//! or a file. Not here: events (`trigger`).

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;

/// The clock's part of `schedule`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    pub(crate) every_ms: Option<i64>,
    pub(crate) cron: Option<Calendar>,
    pub(crate) after_ms: Option<i64>,
}

impl Schedule {
    /// The first start after `now` (Unix milliseconds) by `every`, counted from `since`, or by `cron`, whichever is
    /// earlier. Starts missed in between are not told: whoever was away starts once and asks again.
    pub fn next(&self, since: i64, now: i64) -> Option<i64> {
        let every = self.every_ms.map(|every| next_multiple(since, every.max(1), now));
        let cron = self.cron.as_ref().and_then(|calendar| calendar.next(now));
        every.into_iter().chain(cron).min()
    }

    /// How long after the end of a run the next one starts: `after`.
    pub fn after_ms(&self) -> Option<i64> {
        self.after_ms
    }
}

fn next_multiple(since: i64, every: i64, now: i64) -> i64 {
    let passed = now.saturating_sub(since).max(0) / every;
    since.saturating_add(passed.saturating_add(1).saturating_mul(every))
}

/// A cron expression and where its clock hangs.
///
/// A time the clock skips in spring comes right after the gap, when it is a fixed time of day; a time that comes twice
/// in autumn counts once. What repeats within the hour goes by real time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Calendar {
    cron: Cron,
    zone: Tz,
}

impl Calendar {
    /// Reads five fields, or six with seconds first, or a nickname such as `@daily`; `CRON_TZ=Area/City` may stand
    /// before them.
    pub(crate) fn parse(text: &str, default: Tz) -> Result<Self, String> {
        let (zone, pattern) = match text.trim().strip_prefix("CRON_TZ=") {
            None => (default, text.trim()),
            Some(rest) => {
                let (name, pattern) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                (zone(name)?, pattern.trim())
            }
        };
        let fields = pattern.split_whitespace().count();
        if !(5..=6).contains(&fields) && !pattern.starts_with('@') {
            return Err(format!("a cron expression has five fields, or six with seconds, not {fields}"));
        }
        let cron = CronParser::new().parse(pattern).map_err(|error| error.to_string())?;
        let calendar = Self { cron, zone };
        if calendar.next(0).is_none() {
            return Err("there is no such day".to_owned());
        }
        Ok(calendar)
    }

    fn next(&self, now: i64) -> Option<i64> {
        let start = DateTime::<Utc>::from_timestamp_millis(now)?.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&start, false).ok()?;
        Some(next.timestamp_millis())
    }
}

/// A time zone by its IANA name.
pub(crate) fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| format!("there is no time zone '{name}', such as Europe/Berlin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis()
    }

    fn starts(cron: &str, now: &str, next: &str) {
        let calendar = Calendar::parse(cron, Tz::UTC).expect("a cron expression");
        assert_eq!(calendar.next(at(now)), Some(at(next)), "{cron} after {now}");
    }

    #[test]
    fn every_counts_from_where_it_began() {
        let schedule = Schedule { every_ms: Some(1_000), ..Schedule::default() };

        assert_eq!(schedule.next(500, 500), Some(1_500));
        assert_eq!(schedule.next(500, 1_499), Some(1_500));
        assert_eq!(schedule.next(500, 1_500), Some(2_500));
        assert_eq!(schedule.next(500, 0), Some(1_500));
        assert_eq!(schedule.next(500, 99_000), Some(99_500));
    }

    #[test]
    fn the_earlier_of_two_schedules_counts() {
        let cron = Calendar::parse("@hourly", Tz::UTC).ok();
        let schedule = Schedule { every_ms: Some(1_800_000), cron, after_ms: None };

        assert_eq!(schedule.next(0, at("2026-01-01T00:10:00Z")), Some(at("2026-01-01T00:30:00Z")));
        assert_eq!(Schedule::default().next(0, 0), None);
    }

    #[test]
    fn cron_goes_by_its_zone() {
        starts("30 7 * * *", "2026-01-01T07:30:00Z", "2026-01-02T07:30:00+00:00");
        starts("30 7 * * *", "2026-01-01T07:29:59.999Z", "2026-01-01T07:30:00+00:00");
        starts("CRON_TZ=Europe/Berlin 30 7 * * *", "2026-01-01T00:00:00Z", "2026-01-01T06:30:00+00:00");
        starts("CRON_TZ=Europe/Berlin 30 7 * * *", "2026-07-01T00:00:00Z", "2026-07-01T05:30:00+00:00");
        starts("*/15 * * * * *", "2026-01-01T00:00:01Z", "2026-01-01T00:00:15+00:00");
        starts("0 9 * * MON", "2026-11-22T00:00:00Z", "2026-11-23T09:00:00+00:00");
        starts("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00+00:00");
    }

    #[test]
    fn a_time_the_clock_skips_comes_right_after_the_gap() {
        let nightly = "CRON_TZ=Europe/Berlin 30 2 * * *"; // 2026-03-29: 02:00 becomes 03:00

        starts(nightly, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00+00:00");
        starts(nightly, "2026-03-29T01:00:00Z", "2026-03-30T00:30:00+00:00");
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        let nightly = "CRON_TZ=Europe/Berlin 30 2 * * *"; // 2026-10-25: 03:00 becomes 02:00

        starts(nightly, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00+00:00");
        starts(nightly, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00+00:00");
    }

    #[test]
    fn what_is_not_cron_is_refused() {
        for wrong in [
            "",
            "* * * *",
            "61 * * * *",
            "0 0 30 2 *",
            "CRON_TZ=Mars/Base * * * * *",
            "a b c d e",
            "* * * * * * *",
        ] {
            assert!(Calendar::parse(wrong, Tz::UTC).is_err(), "{wrong}");
        }
    }
}
