//! Calendars as RFC 5545 writes them, for subscribing to events.
//!
//! Invariant: the same events make the same bytes; a UID never changes. Times of an event with a time zone are
//! written by its clocks, together with the rules that hold at that time, so a reader needs no zones of its own.
//! Not here: which events, and what of them a reader may know.

use super::event::Event;
use super::plan::Part;
use super::status::Status;
use super::zone::{Onset, Zone, utc};
use crate::ambient::Millis;
use chrono::NaiveDateTime;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Octets of a line before it is folded, without the line end.
const LINE_OCTETS_MAX: usize = 75;

/// Who reads a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody of the project.
    Member,
    /// Anybody: the venue only where it is shown.
    Public,
}

/// Writes a calendar of events.
pub fn write(name: &str, events: &[Event], reader: Reader) -> String {
    let mut lines = Lines::default();
    lines.line("BEGIN", "VCALENDAR");
    lines.line("VERSION", "2.0");
    lines.line("PRODID", "-//Open Event//Events//EN");
    lines.line("CALSCALE", "GREGORIAN");
    lines.line("METHOD", "PUBLISH");
    lines.line("X-WR-CALNAME", &escaped(name));
    for (zone, onsets) in zones(events) {
        write_zone(&mut lines, zone, &onsets);
    }
    for event in events {
        write_event(&mut lines, event, reader);
    }
    lines.line("END", "VCALENDAR");
    lines.0
}

/// For every zone in use, how its clocks were set at the times in use. What happens in between concerns nobody.
fn zones(events: &[Event]) -> BTreeMap<&Zone, BTreeSet<Onset>> {
    let mut zones: BTreeMap<&Zone, BTreeSet<Onset>> = BTreeMap::new();
    for event in events {
        if let Some(zone) = zone_of(event) {
            let onsets = zones.entry(zone).or_default();
            onsets.extend(
                std::iter::once(event.plan.start_at).chain(event.plan.end_at).map(|at| zone.onset(at)),
            );
        }
    }
    zones
}

/// The zone whose clocks an event's times are written by; `None` is UTC.
fn zone_of(event: &Event) -> Option<&Zone> {
    event.plan.timezone.as_ref().filter(|zone| !zone.is_utc())
}

fn write_zone(lines: &mut Lines, zone: &Zone, onsets: &BTreeSet<Onset>) {
    lines.line("BEGIN", "VTIMEZONE");
    lines.line("TZID", zone.as_str());
    for onset in onsets {
        let kind = if onset.is_summer { "DAYLIGHT" } else { "STANDARD" };
        lines.line("BEGIN", kind);
        lines.line("DTSTART", &local(onset.local));
        lines.line("TZOFFSETFROM", &offset(onset.offset_before_s));
        lines.line("TZOFFSETTO", &offset(onset.offset_s));
        lines.line("TZNAME", &escaped(&onset.abbreviation));
        lines.line("END", kind);
    }
    lines.line("END", "VTIMEZONE");
}

fn write_event(lines: &mut Lines, event: &Event, reader: Reader) {
    let plan = &event.plan;
    lines.line("BEGIN", "VEVENT");
    lines.line("UID", &format!("{}@openevent", event.id));
    lines.line("DTSTAMP", &instant(event.updated_at));
    lines.line("CREATED", &instant(event.created_at));
    lines.line("LAST-MODIFIED", &instant(event.updated_at));
    lines.line("SEQUENCE", &(event.version - 1).to_string());
    lines.time("DTSTART", plan.start_at, zone_of(event));
    // An end has to be after the start; without one the event is a moment.
    if let Some(end) = plan.end_at.filter(|end| *end > plan.start_at) {
        lines.time("DTEND", end, zone_of(event));
    }
    lines.line("SUMMARY", &escaped(&plan.title));
    let shows_venue = reader == Reader::Member || plan.public_visibility.shows(Part::Venue);
    let venue: Vec<_> = plan.venue_name.iter().chain(&plan.venue_address).map(String::as_str).collect();
    let texts = [
        ("DESCRIPTION", plan.description.clone()),
        ("LOCATION", Some(venue.join(", ")).filter(|venue| shows_venue && !venue.is_empty())),
        ("CATEGORIES", plan.event_type.clone()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            lines.line(name, &escaped(&text));
        }
    }
    if let Some(url) = plan.virtual_platform.as_ref().filter(|_| shows_venue) {
        lines.line("URL", &plain(url));
    }
    lines.line("STATUS", standing(event.state.status()));
    lines.line("END", "VEVENT");
}

fn standing(status: Status) -> &'static str {
    match status {
        Status::Draft | Status::Planning => "TENTATIVE",
        Status::Active | Status::Completed => "CONFIRMED",
        Status::Cancelled => "CANCELLED",
    }
}

fn local(at: NaiveDateTime) -> String {
    at.format("%Y%m%dT%H%M%S").to_string()
}

fn instant(at: Millis) -> String {
    format!("{}Z", local(utc(at)))
}

fn offset(seconds: i32) -> String {
    let (sign, rest) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let mut text = format!("{sign}{:02}{:02}", rest / 3600, rest / 60 % 60);
    if rest % 60 != 0 {
        let _ = write!(text, "{:02}", rest % 60);
    }
    text
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\r' => escaped.push_str("\\n"),
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\t' => escaped.push(c),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn time(&mut self, name: &str, at: Millis, zone: Option<&Zone>) {
        match zone {
            Some(zone) => self.line(&format!("{name};TZID={}", zone.as_str()), &local(zone.local(at))),
            None => self.line(name, &instant(at)),
        }
    }

    /// One line, folded between characters.
    fn line(&mut self, name: &str, value: &str) {
        let mut octets = 0;
        for c in name.chars().chain([':']).chain(value.chars()) {
            if octets + c.len_utf8() > LINE_OCTETS_MAX {
                self.0.push_str("\r\n ");
                octets = 1;
            }
            self.0.push(c);
            octets += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;
    use crate::planning::plan::Plan;
    use crate::planning::status::State;
    use proptest::prelude::*;

    fn event(plan: Plan) -> Event {
        Event::new(EventId::trusted("evt_1".into()), plan, State::Active { since: 0 }, "key_1".into(), 0)
    }

    /// 24 March 2026, 09:00 in Berlin (winter); 30 March, 17:00 (summer).
    fn across_the_change() -> Plan {
        Plan {
            title: "Spring; again, \\o/".into(),
            start_at: 1_774_339_200_000,
            end_at: Some(1_774_882_800_000),
            timezone: Zone::parse("Europe/Berlin").ok(),
            venue_name: Some("Hall".into()),
            ..Plan::default()
        }
    }

    #[test]
    fn an_event_across_a_clock_change_is_written_by_the_clocks_of_its_zone() {
        let text = write("Events", &[event(across_the_change())], Reader::Member);
        for line in [
            "DTSTART;TZID=Europe/Berlin:20260324T090000\r\n",
            "DTEND;TZID=Europe/Berlin:20260330T170000\r\n",
            "BEGIN:STANDARD\r\nDTSTART:20251026T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\n",
            "BEGIN:DAYLIGHT\r\nDTSTART:20260329T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\n",
            "UID:evt_1@openevent\r\n",
            "SUMMARY:Spring\\; again\\, \\\\o/\r\n",
            "LOCATION:Hall\r\n",
            "STATUS:CONFIRMED\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn without_a_zone_times_are_utc_and_the_public_sees_no_hidden_venue() {
        let plan = Plan { timezone: None, end_at: Some(1_774_339_200_000), ..across_the_change() };
        let text = write("Events", &[event(plan)], Reader::Public);
        assert!(text.contains("DTSTART:20260324T080000Z\r\n") && !text.contains("VTIMEZONE"), "{text}");
        assert!(!text.contains("LOCATION") && !text.contains("DTEND"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_line(title in "\\PC{0,120}|[\\r\\n:;]{0,9}(END:VEVENT)?.{0,9}") {
            let text = write("E", &[event(Plan { title, ..Plan::default() })], Reader::Member);
            prop_assert!(text.split("\r\n").all(|line| line.len() <= LINE_OCTETS_MAX && !line.contains(['\r', '\n'])));
            let unfolded = text.replace("\r\n ", "");
            prop_assert_eq!(unfolded.split("\r\n").filter(|line| *line == "END:VEVENT").count(), 1);
            prop_assert_eq!(unfolded.split("\r\n").filter(|line| line.starts_with("SUMMARY:")).count(), 1);
        }
    }
}
