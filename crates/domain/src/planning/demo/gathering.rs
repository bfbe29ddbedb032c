//! Demo events: what they are, when, where, and how far they have come.
//!
//! Invariant: a plan passes [`Plan::read`]; an event's state fits its days, and what hangs on it fits its state.
//! Not here: the parts themselves (see `parts`).

use super::dice::Dice;
use super::places::{CITIES, City, HALLS, STREETS};
use super::ties::{self, Ties};
use super::words::{ENDINGS, MIDDLES, OPENINGS, PEOPLE, TOPICS, names};
use super::{Season, days, parts};
use crate::ambient::Millis;
use crate::id::{BudgetItemId, EventId, TaskId};
use crate::planning::budget::Item;
use crate::planning::directory::Side;
use crate::planning::event::Event;
use crate::planning::money::{Amount, Currency};
use crate::planning::plan::{LocationType, Plan};
use crate::planning::status::{State, Status};
use crate::planning::task::Task;
use crate::planning::zone::Zone;
use chrono::Weekday::{self, Fri, Sat, Sun, Thu, Tue, Wed};
use serde_json::json;

pub(super) const DAY_MS: Millis = 86_400_000;
const HOUR_MS: Millis = 3_600_000;
/// The first event was so long ago.
const PAST_DAYS: i64 = 120;
/// The last one is so far ahead.
const AHEAD_DAYS: i64 = 240;

/// A part of an event with its id and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Made<I, P> {
    /// Its id.
    pub id: I,
    /// What it says.
    pub body: P,
    /// When it was made.
    pub created_at: Millis,
}

/// An event with what hangs on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathering {
    /// The event.
    pub event: Event,
    /// What is to be done, and what waits for what.
    pub tasks: Vec<Made<TaskId, Task>>,
    /// What it costs.
    pub budget: Vec<Made<BudgetItemId, Item>>,
    /// Whom it has to do with. What its vendors cost is in the budget.
    pub ties: Ties,
}

/// A kind of event.
pub(super) struct Kind {
    pub(super) word: &'static str,
    /// How many of a hundred are of this kind.
    share: u64,
    titles: [&'static str; 4],
    length: &'static str,
    weekdays: &'static [Weekday],
    begins: u32,
    hours: &'static [i64],
    attendees: (i64, i64),
    /// What one guest costs, in euros.
    pub(super) cost_per_guest: i64,
    vendors: (i64, i64),
    sponsors: (i64, i64),
}

impl Kind {
    /// The fewest and the most of a side it has.
    pub(super) fn ties(&self, side: Side) -> (i64, i64) {
        match side {
            Side::Vendor => self.vendors,
            Side::Sponsor => self.sponsors,
        }
    }
}

pub(super) static KINDS: [Kind; 5] = [
    Kind {
        word: "meetup",
        share: 30,
        titles: [
            "{city} {topic} Meetup #{n}",
            "{topic} Evening {city}",
            "{topic} after Work",
            "{city} {topic} Circle",
        ],
        length: "an evening",
        weekdays: &[Tue, Wed, Thu],
        begins: 18,
        hours: &[3],
        attendees: (25, 160),
        cost_per_guest: 12,
        vendors: (1, 3),
        sponsors: (0, 2),
    },
    Kind {
        word: "workshop",
        share: 25,
        titles: ["Hands-on {topic}", "{topic} for Beginners", "{topic} Lab {city}", "A Day of {topic}"],
        length: "a day",
        weekdays: &[Tue, Wed, Thu, Sat],
        begins: 10,
        hours: &[7, 8],
        attendees: (12, 60),
        cost_per_guest: 90,
        vendors: (1, 2),
        sponsors: (0, 1),
    },
    Kind {
        word: "conference",
        share: 20,
        titles: [
            "{topic} Conference {year}",
            "{topic} Days {city}",
            "The {topic} Summit",
            "{city} {topic} Forum {year}",
        ],
        length: "two days",
        weekdays: &[Tue, Wed, Thu],
        begins: 9,
        hours: &[33, 57],
        attendees: (180, 1_800),
        cost_per_guest: 210,
        vendors: (4, 8),
        sponsors: (2, 6),
    },
    Kind {
        word: "hackathon",
        share: 15,
        titles: [
            "{topic} Hackathon {city}",
            "48 Hours of {topic}",
            "Hack on {topic}",
            "{city} {topic} Jam {year}",
        ],
        length: "a weekend",
        weekdays: &[Fri, Sat],
        begins: 17,
        hours: &[46, 48],
        attendees: (40, 320),
        cost_per_guest: 75,
        vendors: (2, 4),
        sponsors: (2, 5),
    },
    Kind {
        word: "gala",
        share: 10,
        titles: [
            "{topic} Awards Night",
            "Gala for {topic}",
            "{city} {topic} Benefit {year}",
            "An Evening for {topic}",
        ],
        length: "an evening",
        weekdays: &[Fri, Sat, Sun],
        begins: 19,
        hours: &[5, 6],
        attendees: (90, 450),
        cost_per_guest: 160,
        vendors: (3, 6),
        sponsors: (1, 4),
    },
];

/// What an event with its parts is made from.
struct Cast {
    dice: Dice,
    ids: Dice,
    kind: &'static Kind,
    city: &'static City,
    event: Event,
}

/// The event with this index.
pub(super) fn event(season: &Season, owner: &str, index: u64) -> Event {
    cast(season, owner, index).event
}

/// The event with this index and what hangs on it.
pub(super) fn gathering(season: &Season, owner: &str, index: u64) -> Gathering {
    let Cast { dice, ids, kind, city, event } = cast(season, owner, index);
    let tasks = parts::tasks(season, &dice, &ids, &event, kind);
    let mut budget = parts::budget(&dice, &ids, &event, city);
    let mut ties = ties::ties(season, &dice, &ids, &event, kind, city);
    budget.append(&mut ties.items);
    Gathering { event, tasks, budget, ties }
}

fn cast(season: &Season, owner: &str, index: u64) -> Cast {
    let dice = Dice::of(season.seed, "event", index);
    let kind = kind(&dice);
    let city = &CITIES[dice.below(CITIES.len() as u64) as usize];
    let zone = Zone::parse(city.zone).ok();
    let (start_at, end_at) = times(season, &dice, kind, zone.as_ref());
    let made = start_at - dice.between(70, 190) * DAY_MS;
    let created_at = made.min(season.now - dice.between(1, 20 * 24) * HOUR_MS);
    let state = state(season, &dice, start_at, end_at, created_at);
    let mut plan = plan(season, &dice, kind, city, index);
    (plan.start_at, plan.end_at, plan.timezone) = (start_at, Some(end_at), zone);
    open_up(&mut plan, &dice, state.status());
    let ids = season.ids("event", index);
    let id = EventId::mint(created_at, &ids);
    let updated_at = state.since().unwrap_or(created_at).max(created_at);
    let event = Event { updated_at, ..Event::new(id, plan, state, owner.to_owned(), created_at) };
    Cast { dice, ids, kind, city, event }
}

fn kind(dice: &Dice) -> &'static Kind {
    let mut throw = dice.below(100);
    let found = KINDS.iter().find(|kind| {
        let is_it = throw < kind.share;
        throw = throw.saturating_sub(kind.share);
        is_it
    });
    found.unwrap_or(&KINDS[0])
}

fn times(season: &Season, dice: &Dice, kind: &Kind, zone: Option<&Zone>) -> (Millis, Millis) {
    let about = season.now + dice.between(-PAST_DAYS * 24, AHEAD_DAYS * 24) * HOUR_MS;
    let weekday = kind.weekdays[dice.below(kind.weekdays.len() as u64) as usize];
    let start = zone.map_or(about, |zone| days::near(about, weekday, kind.begins, zone));
    (start, start + kind.hours[dice.below(kind.hours.len() as u64) as usize] * HOUR_MS)
}

/// How far an event is, so long before or after its days.
fn state(season: &Season, dice: &Dice, start: Millis, end: Millis, created_at: Millis) -> State {
    let ahead_days = (start - season.now) / DAY_MS;
    let status = match (dice.below(100), ahead_days) {
        (0..9, _) => Status::Cancelled,
        _ if end < season.now => Status::Completed,
        (_, ..=21) | (60.., ..=90) => Status::Active,
        (75.., 120..) | (90.., _) => Status::Draft,
        _ => Status::Planning,
    };
    let before = season.now.min(start);
    let since = dice.between(created_at.min(before), before);
    let from = Some(if start < season.now { Status::Active } else { Status::Planning });
    match status {
        Status::Completed => State::Completed { at: (end + 20 * HOUR_MS).min(season.now) },
        status => State::trusted(status, Some(since), from),
    }
}

fn plan(season: &Season, dice: &Dice, kind: &Kind, city: &City, index: u64) -> Plan {
    let topic = dice.pick(&TOPICS);
    let people = dice.some(&PEOPLE, 2);
    let year = chrono::Datelike::year(&crate::planning::zone::utc(season.now + 60 * DAY_MS)).to_string();
    let number = dice.between(2, 48).to_string();
    let fill = |text: &str| {
        text.replace("{topic}", topic)
            .replace("{people_too}", people[1])
            .replace("{people}", people[0])
            .replace("{city}", city.name)
            .replace("{length}", kind.length)
            .replace("{year}", &year)
            .replace("{n}", &number)
    };
    let attendees = rounded(dice.between(kind.attendees.0, kind.attendees.1));
    let budget = attendees * kind.cost_per_guest * city.price_level * dice.between(80, 130) / 100;
    let location = match dice.below(10) {
        0 => LocationType::Virtual,
        1..3 => LocationType::Hybrid,
        _ => LocationType::InPerson,
    };
    let is_somewhere = location != LocationType::Virtual;
    let street = format!("{} {}, {}, {}", dice.between(1, 140), dice.pick(&STREETS), city.name, city.country);
    Plan {
        title: super::words::capital(&fill(kind.titles[dice.below(4) as usize])),
        description: Some(description(dice, &fill, index)),
        event_type: Some(kind.word.to_owned()),
        location_type: Some(location),
        venue_name: is_somewhere.then(|| dice.pick(&HALLS).to_owned()),
        venue_address: is_somewhere.then_some(street),
        virtual_platform: (location != LocationType::InPerson).then(|| {
            format!("https://meet.example.org/{}", super::words::invented(dice.below(9_000)).to_lowercase())
        }),
        expected_attendees: Some(attendees),
        budget: Some(Amount::trusted(rounded(budget) * 1_000)),
        budget_currency: Currency::parse(city.currency).ok(),
        ..Plan::default()
    }
}

fn description(dice: &Dice, fill: &dyn Fn(&str) -> String, index: u64) -> String {
    let opening = fill(dice.pick(&OPENINGS));
    let middles = dice.some(&MIDDLES, dice.between(2, 5) as usize).join(" ");
    let on_stage = names(dice, 3_000 + index / 4, dice.between(2, 5) as usize);
    let ending = dice.pick(&ENDINGS);
    let opening = super::words::capital(&opening);
    format!("{opening}\n\n{middles} Projects shown this time: {on_stage}.\n\n{ending}")
}

/// Whom the event is open to, and what the public sees of it.
fn open_up(plan: &mut Plan, dice: &Dice, status: Status) {
    plan.is_public = status != Status::Draft && dice.percent(80);
    let is_open = matches!(status, Status::Planning | Status::Active);
    plan.seeking_vendors = is_open && dice.percent(60);
    plan.seeking_sponsors = is_open && dice.percent(55);
    if plan.seeking_vendors {
        let trades: Vec<_> = super::trades::VENDORS.iter().map(|trade| trade.word).collect();
        let sought = dice.some(&trades, dice.between(2, 4) as usize);
        plan.vendor_categories = sought.into_iter().map(str::to_owned).collect();
        let requirements = json!({
            "setUp": dice.pick(&["the evening before", "from 6:00", "two hours ahead"]),
            "power": dice.pick(&["3 × 16 A", "1 × 32 A", "household sockets"]),
            "insurance": dice.percent(70),
            "reusableTableware": dice.percent(60),
        });
        plan.requirements = requirements.as_object().cloned();
    }
    if plan.seeking_sponsors {
        let benefits = dice.some(
            &[
                "a talk slot",
                "a stand in the foyer",
                "the logo on stage",
                "ten tickets",
                "a hiring corner",
                "a word at the opening",
            ],
            3,
        );
        let benefits: Vec<_> = benefits.into_iter().map(str::to_owned).collect();
        plan.sponsor_benefits = Some(super::words::capital(&format!("{}.", super::words::listed(&benefits))));
    }
    let shown = [("showVenue", 85), ("showAttendees", 50), ("showBudget", 10), ("showRequirements", 60)];
    let shown: serde_json::Map<_, _> =
        shown.map(|(name, chance)| (name.to_owned(), dice.percent(chance).into())).into_iter().collect();
    // The names are those of the API, so there is nothing to refuse.
    plan.public_visibility = serde_json::from_value(shown.into()).unwrap_or_default();
}

/// To two figures.
fn rounded(number: i64) -> i64 {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    (number + unit / 2) / unit * unit
}
