//! When demo events take place: days of the week and hours by the clocks of their city.
//!
//! Invariant: a time of the day is kept across changes of the clocks.
//! Not here: what happens then.

use crate::ambient::Millis;
use crate::planning::zone::{Zone, utc};
use chrono::{Datelike as _, Days, NaiveTime, TimeDelta, Weekday};

/// A day of the week near a time, at an hour by the clocks of a zone.
pub(super) fn near(at: Millis, weekday: Weekday, hour: u32, zone: &Zone) -> Millis {
    let day = utc(at).date();
    let ahead = weekday.days_since(day.weekday());
    let day = day.checked_add_days(Days::new(ahead.into())).unwrap_or(day);
    at_local(day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default()), zone)
}

/// The moment at which clocks show this.
fn at_local(wanted: chrono::NaiveDateTime, zone: &Zone) -> Millis {
    let mut at = wanted.and_utc().timestamp_millis();
    // What clocks show at the first guess tells how far off it is; near a change of the clocks twice.
    for _ in 0..2 {
        let off: TimeDelta = wanted - zone.local(at);
        at += off.num_milliseconds();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_that_hour_there_in_summer_and_in_winter() {
        let zone = Zone::parse("America/New_York").unwrap();
        for day in 0..400 {
            let at = near(1_767_225_600_000 + day * 86_400_000, Weekday::Wed, 18, &zone);
            let local = zone.local(at);
            assert_eq!((local.weekday(), local.time().to_string()), (Weekday::Wed, "18:00:00".to_owned()));
        }
    }
}
