//! Times for people: by the clocks of the event's own city, with the same for machines beside it.
//!
//! Invariant: what is shown and what stands in `datetime` are the same moment.
//! Not here: time zones' rules (the domain's `planning::zone`).

use openevent_domain::ambient::Millis;
use openevent_domain::planning::plan::Plan;
use openevent_domain::planning::zone::{Zone, utc};

/// When an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// `Thu 3 December 2026, 18:00`.
    pub(super) start: String,
    /// The start as RFC 3339, with the offset of its clocks.
    pub(super) start_iso: String,
    /// `21:00`, or with its day when that is another one.
    pub(super) end: Option<String>,
    /// The end as RFC 3339.
    pub(super) end_iso: Option<String>,
    /// `3`.
    pub(super) day: String,
    /// `Dec`.
    pub(super) month: String,
    /// `2026`.
    pub(super) year: String,
    /// Whose clocks: `Berlin time`.
    pub(super) clocks: String,
}

impl When {
    /// When a plan is.
    pub(super) fn of(plan: &Plan) -> Self {
        let zone = plan.timezone.as_ref();
        let local = |at| zone.map_or_else(|| utc(at), |zone| zone.local(at));
        let start = local(plan.start_at);
        let end = plan.end_at.filter(|end| *end > plan.start_at);
        let spoken = |at: Millis| {
            let end = local(at);
            let pattern = if end.date() == start.date() { "%H:%M" } else { "%a %-d %B %Y, %H:%M" };
            end.format(pattern).to_string()
        };
        Self {
            start: start.format("%a %-d %B %Y, %H:%M").to_string(),
            start_iso: iso(plan.start_at, zone),
            end: end.map(spoken),
            end_iso: end.map(|end| iso(end, zone)),
            day: start.format("%-d").to_string(),
            month: start.format("%b").to_string(),
            year: start.format("%Y").to_string(),
            clocks: clocks(zone),
        }
    }
}

/// RFC 3339 with the offset of a zone's clocks.
pub(super) fn iso(at: Millis, zone: Option<&Zone>) -> String {
    let Some(zone) = zone else { return utc(at).format("%Y-%m-%dT%H:%M:%SZ").to_string() };
    let local = zone.local(at);
    let minutes = (local - utc(at)).num_minutes();
    let (sign, minutes) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
    format!("{}{sign}{:02}:{:02}", local.format("%Y-%m-%dT%H:%M:%S"), minutes / 60, minutes % 60)
}

fn clocks(zone: Option<&Zone>) -> String {
    let Some(zone) = zone.filter(|zone| !zone.is_utc()) else { return "UTC".to_owned() };
    let city = zone.as_str().rsplit('/').next().unwrap_or_default().replace('_', " ");
    format!("{city} time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(zone: &str, start_at: Millis, length_ms: Millis) -> When {
        let plan = Plan {
            start_at,
            end_at: Some(start_at + length_ms),
            timezone: Zone::parse(zone).ok(),
            ..Plan::default()
        };
        When::of(&plan)
    }

    #[test]
    fn an_evening_is_told_by_the_clocks_of_its_city() {
        // 3 December 2026, 17:00 UTC.
        let when = when("America/New_York", 1_796_317_200_000, 3 * 3_600_000);
        assert_eq!(when.start, "Thu 3 December 2026, 12:00");
        assert_eq!(when.start_iso, "2026-12-03T12:00:00-05:00");
        assert_eq!((when.end.as_deref(), when.clocks.as_str()), (Some("15:00"), "New York time"));
        assert_eq!((when.day.as_str(), when.month.as_str(), when.year.as_str()), ("3", "Dec", "2026"));
    }

    #[test]
    fn days_are_named_when_there_are_several_and_half_hours_are_kept() {
        let when = when("Asia/Kolkata", 1_796_317_200_000, 30 * 3_600_000);
        assert_eq!(when.end.as_deref(), Some("Sat 5 December 2026, 04:30"));
        assert_eq!(when.end_iso.as_deref(), Some("2026-12-05T04:30:00+05:30"));
    }

    #[test]
    fn without_a_zone_or_an_end_it_is_a_moment_in_utc() {
        let plan = Plan { start_at: 0, end_at: Some(0), ..Plan::default() };
        let when = When::of(&plan);
        assert_eq!(
            (when.start_iso.as_str(), when.end, when.clocks.as_str()),
            ("1970-01-01T00:00:00Z", None, "UTC")
        );
    }
}
