//! Time zones of the IANA database, as it is compiled in.
//!
//! Invariant: a [`Zone`] is in the database of the binary that made it; the machine's own database is never read.
//! Not here: the time now.

use crate::ambient::Millis;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The earliest time a plan may name: the first of January of the year 1.
pub const EARLIEST: Millis = -62_135_596_800_000;
/// The latest: the first of January 9999.
pub const LATEST: Millis = 253_370_764_800_000;

/// The name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(String);

/// A name the database does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone, such as Europe/Berlin")]
pub struct BadZone;

/// When a zone's clocks were last set before a time, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Onset {
    /// What the clocks showed when they were set; of a zone that never did, the beginning of time.
    pub local: DateTime,
    /// Seconds east of UTC before.
    pub offset_before_s: i32,
    /// Seconds east of UTC since.
    pub offset_s: i32,
    /// What that time is called, such as `CEST`.
    pub abbreviation: String,
    /// Whether it is summer time.
    pub is_summer: bool,
}

impl Zone {
    /// Reads a name, in any case, and keeps it as the database spells it.
    pub fn parse(text: &str) -> Result<Self, BadZone> {
        let zone = TimeZoneDatabase::bundled().get(text).map_err(|_| BadZone)?;
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or(BadZone)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is UTC by any of its names.
    pub fn is_utc(&self) -> bool {
        matches!(
            self.0.as_str(),
            "UTC" | "Etc/UTC" | "Etc/GMT" | "GMT" | "Etc/UCT" | "UCT" | "Zulu" | "Etc/Zulu"
        )
    }

    /// What clocks there show.
    pub fn local(&self, at: Millis) -> DateTime {
        self.rules().to_datetime(timestamp(at))
    }

    /// So many days later at the same time of the day by the clocks there; `None` beyond the calendar's end.
    pub fn days_later(&self, at: Millis, days: i64) -> Option<Millis> {
        let span = Span::new().try_days(days).ok()?;
        let later = timestamp(at).to_zoned(self.rules()).checked_add(span).ok()?;
        Some(later.timestamp().as_millisecond()).filter(|at| (EARLIEST..=LATEST).contains(at))
    }

    /// How the clocks were last set at or before a time.
    pub fn onset(&self, at: Millis) -> Onset {
        let rules = self.rules();
        // The database looks strictly before; clocks set at this very moment count.
        let after = timestamp(at.saturating_add(1).min(LATEST));
        let found = rules.preceding(after).next();
        let Some(set) = found else {
            let info = rules.to_offset_info(timestamp(at));
            return Onset {
                local: DateTime::constant(1, 1, 1, 0, 0, 0, 0),
                offset_before_s: info.offset().seconds(),
                offset_s: info.offset().seconds(),
                abbreviation: info.abbreviation().to_owned(),
                is_summer: info.dst().is_dst(),
            };
        };
        let moment = set.timestamp();
        let before = before(&rules, moment);
        Onset {
            local: before.to_datetime(moment),
            offset_before_s: before.seconds(),
            offset_s: set.offset().seconds(),
            abbreviation: set.abbreviation().to_owned(),
            is_summer: set.dst().is_dst(),
        }
    }

    fn rules(&self) -> TimeZone {
        // A name of an older database that this one lacks shows its times in UTC.
        TimeZoneDatabase::bundled().get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

/// What clocks show in UTC.
pub fn utc(at: Millis) -> DateTime {
    Offset::UTC.to_datetime(timestamp(at))
}

fn before(rules: &TimeZone, moment: Timestamp) -> Offset {
    let earlier = moment.as_nanosecond().saturating_sub(1);
    Timestamp::from_nanosecond(earlier).map_or(Offset::UTC, |earlier| rules.to_offset(earlier))
}

fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(at.clamp(EARLIEST, LATEST)).unwrap_or(Timestamp::UNIX_EPOCH)
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
            ("CEST", "2026-03-29T02:00:00".to_owned())
        );
        let change = 1_774_746_000_000;
        assert_eq!(zone.onset(change), summer, "the moment itself is summer");
        assert!(!zone.onset(change - 1).is_summer);
        let utc = Zone::parse("Etc/UTC").unwrap().onset(0);
        assert_eq!((utc.offset_before_s, utc.offset_s), (0, 0));
    }
}
