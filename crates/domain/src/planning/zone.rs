//! Time zones of the IANA database, as it is compiled in.
//!
//! Invariant: a [`Zone`] is in the database of the binary that made it; the machine's own database is never read.
//! Not here: the time now.

use crate::ambient::Millis;
use chrono::{DateTime, Days, LocalResult, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{OffsetComponents as _, OffsetName as _, TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

/// The earliest time a plan may name: the first of January of the year 1.
pub const EARLIEST: Millis = -62_135_596_800_000;
/// The latest: the first of January 9999.
pub const LATEST: Millis = 253_370_764_800_000;

/// How long clocks are looked back on; a zone that left them alone for so long counts as having done so before.
const LOOK_BACK_WEEKS: i64 = 110;
const WEEK_MS: i64 = 7 * 86_400_000;

/// The name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(String);

/// A name the database does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone, such as Europe/Berlin")]
pub struct BadZone;

/// When a zone's clocks were last set before a time, and how: what holds from then until past that time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Onset {
    /// What the clocks showed when they were set.
    pub local: NaiveDateTime,
    /// Seconds east of UTC before.
    pub offset_before_s: i32,
    /// Seconds east of UTC since.
    pub offset_s: i32,
    /// What that time is called, such as `CEST`.
    pub abbreviation: String,
    /// Whether it is summer time.
    pub is_summer: bool,
}

/// What clocks show in comparison with UTC at a moment.
#[derive(Clone, PartialEq, Eq)]
struct Setting {
    offset_s: i32,
    abbreviation: Option<String>,
    is_summer: bool,
}

impl Zone {
    /// Reads a name, in any case, and keeps it as the database spells it.
    pub fn parse(text: &str) -> Result<Self, BadZone> {
        let zone = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)).ok_or(BadZone)?;
        Ok(Self(zone.name().to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is UTC by any of its names.
    pub fn is_utc(&self) -> bool {
        ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu"].contains(&self.0.as_str())
    }

    /// What clocks there show.
    pub fn local(&self, at: Millis) -> NaiveDateTime {
        moment(at).with_timezone(&self.rules()).naive_local()
    }

    /// So many days later at the same time of the day by the clocks there; `None` beyond the calendar's end. A time
    /// that clocks pass twice is the first of the two, one that they leave out is as much later as they are set.
    pub fn days_later(&self, at: Millis, days: i64) -> Option<Millis> {
        let (here, distance) = (self.local(at), Days::new(days.unsigned_abs()));
        let there = if days < 0 { here.checked_sub_days(distance) } else { here.checked_add_days(distance) }?;
        let moved = match self.rules().from_local_datetime(&there) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment.timestamp_millis(),
            LocalResult::None => {
                let before = there.and_utc().timestamp_millis() - 86_400_000;
                there.and_utc().timestamp_millis() - i64::from(self.setting(before).offset_s) * 1_000
            }
        };
        Some(moved).filter(|at| (EARLIEST..=LATEST).contains(at))
    }

    /// How the clocks were last set at or before a time.
    pub fn onset(&self, at: Millis) -> Onset {
        let now = self.setting(at);
        let mut earlier = (1..=LOOK_BACK_WEEKS).map(|weeks| at - weeks * WEEK_MS);
        let (set_at, before) = match earlier.find(|earlier| self.setting(*earlier) != now) {
            Some(other) => {
                let set_at = self.set_between(other, other + WEEK_MS, &now);
                (set_at, self.setting(set_at - 1))
            }
            None => (at - LOOK_BACK_WEEKS * WEEK_MS, now.clone()),
        };
        Onset {
            local: moment(set_at).naive_utc() + TimeDelta::seconds(before.offset_s.into()),
            offset_before_s: before.offset_s,
            offset_s: now.offset_s,
            abbreviation: now.abbreviation.unwrap_or_else(|| self.0.clone()),
            is_summer: now.is_summer,
        }
    }

    /// The moment in a week from which on clocks are set like `then`.
    fn set_between(&self, mut not_yet: Millis, mut already: Millis, then: &Setting) -> Millis {
        while already - not_yet > 1 {
            let middle = not_yet + (already - not_yet) / 2;
            if self.setting(middle) == *then { already = middle } else { not_yet = middle }
        }
        already
    }

    fn setting(&self, at: Millis) -> Setting {
        let offset = self.rules().offset_from_utc_datetime(&moment(at).naive_utc());
        Setting {
            offset_s: offset.fix().local_minus_utc(),
            abbreviation: offset.abbreviation().map(str::to_owned),
            is_summer: !offset.dst_offset().is_zero(),
        }
    }

    fn rules(&self) -> Tz {
        // A name of an older database that this one lacks shows its times in UTC.
        self.0.parse().unwrap_or(Tz::UTC)
    }
}

/// What clocks show in UTC.
pub fn utc(at: Millis) -> NaiveDateTime {
    moment(at).naive_utc()
}

fn moment(at: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.clamp(EARLIEST, LATEST)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: Millis = 86_400_000;

    #[test]
    fn zones_are_known_by_name_only() {
        assert_eq!(Zone::parse("america/new_york").map(|zone| zone.0), Ok("America/New_York".to_owned()));
        for text in ["", "Mars/Olympus", "+02:00", "EST5EDT,M3.2.0,M11.1.0", "../etc/passwd", "UTC+1"] {
            assert_eq!(Zone::parse(text), Err(BadZone), "{text}");
        }
    }

    #[test]
    fn a_day_in_which_clocks_are_set_is_shorter_or_longer() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        // 28 March 2026, 09:00 in Berlin; the next night loses an hour.
        let before = 1_774_684_800_000;
        let after = zone.days_later(before, 1).unwrap();
        assert_eq!(after - before, DAY_MS - 3_600_000);
        assert_eq!(zone.local(before).time(), zone.local(after).time());
        assert_eq!(zone.days_later(before, i64::MAX), None);
        assert_eq!(zone.days_later(LATEST, 1), None);
    }

    #[test]
    fn the_onset_is_the_last_time_clocks_were_set() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let summer = zone.onset(1_783_000_000_000);
        assert_eq!((summer.offset_before_s, summer.offset_s, summer.is_summer), (3600, 7200, true));
        assert_eq!(
            (summer.abbreviation.as_str(), summer.local.to_string()),
            ("CEST", "2026-03-29 02:00:00".to_owned())
        );
        let change = 1_774_746_000_000;
        assert_eq!(zone.onset(change), summer, "the moment itself is summer");
        assert!(!zone.onset(change - 1).is_summer);
        let utc = Zone::parse("Etc/UTC").unwrap().onset(0);
        assert_eq!((utc.offset_before_s, utc.offset_s), (0, 0));
    }
}
