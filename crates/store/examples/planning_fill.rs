//! Fills a database with planned events and vendors, the same ones every time: for `cargo xtask bench planning`.
//! Usage: `cargo run --release -p openevent-store --example planning_fill FILE_OR_URL EVENTS VENDORS`.
#![expect(clippy::print_stdout, reason = "a small tool that reports to a terminal")]

use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::{EntryId, EventId, ProjectId};
use openevent_domain::planning::directory::{Profile, Review, Side};
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::{LocationType, Plan};
use openevent_domain::planning::status::{State, Status};
use openevent_domain::tenant::{DEFAULT_PROJECT, Environment, Tenant};
use openevent_store::keys::Project;
use openevent_store::planning::directory::EntryRecord;
use openevent_store::{Error, Location, Options, Owner, Store, WriteSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Rows of one write set.
const ROWS: u64 = 500;
/// 1 January 2026.
const BEGIN: Millis = 1_767_225_600_000;
/// In about a third of all events each.
const COMMON: [&str; 8] =
    ["conference", "summit", "community", "workshop", "annual", "music", "design", "market"];
const TYPES: [&str; 4] = ["conference", "hackathon", "workshop", "meetup"];
const CATEGORIES: [&str; 10] =
    ["catering", "venue", "music", "photo", "print", "security", "stage", "light", "travel", "flowers"];
const SYLLABLES: [&str; 16] = [
    "ba", "con", "dor", "fen", "gri", "hal", "jo", "kem", "lu", "mar", "nis", "or", "pel", "rud", "sta", "vi",
];

/// A small generator (`splitmix64`): the same rows every time.
#[derive(Debug)]
struct Seeded(AtomicU64);

impl Seeded {
    fn next(&self) -> u64 {
        let mut n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    /// A third common words; a third that one event in a hundred has; a third that are rare.
    fn word(&self) -> String {
        match self.below(3) {
            0 => self.of(&COMMON).to_owned(),
            1 => spelled(self.below(400) + 4_096, 3),
            _ => spelled(self.below(1 << 18), 5),
        }
    }

    fn words(&self, count: u64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

impl Chance for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next() as u8);
    }
}

/// A number in syllables.
fn spelled(mut number: u64, count: u32) -> String {
    let mut word = String::new();
    for _ in 0..count {
        word.push_str(SYLLABLES[(number % 16) as usize]);
        number /= 16;
    }
    word
}

fn event(seeded: &Seeded, n: u64) -> Event {
    let now = BEGIN + n as Millis;
    let start_at = now + seeded.below(400 * 86_400_000) as Millis;
    let plan = Plan {
        title: seeded.words(4),
        description: Some(seeded.words(18)),
        start_at,
        end_at: Some(start_at + 7_200_000),
        event_type: Some(seeded.of(&TYPES).to_owned()),
        location_type: Some(LocationType::ALL[seeded.below(3) as usize]),
        venue_name: Some(seeded.words(2)),
        expected_attendees: Some(seeded.below(5_000) as i64),
        is_public: seeded.below(2) == 0,
        seeking_vendors: seeded.below(3) == 0,
        ..Plan::default()
    };
    let status = Status::ALL[seeded.below(5) as usize];
    let state = State::trusted(status, Some(now), Some(Status::Planning));
    Event::new(EventId::mint(now, seeded), plan, state, "operator".into(), now)
}

fn vendor(seeded: &Seeded, n: u64) -> EntryRecord {
    let now = BEGIN + n as Millis;
    EntryRecord {
        id: EntryId::mint(now, seeded).as_str().to_owned(),
        side: Side::Vendor,
        profile: Profile {
            name: seeded.words(3),
            category: Some(seeded.of(&CATEGORIES).to_owned()),
            description: Some(seeded.words(12)),
            location: Some(seeded.words(1)),
            ..Profile::default()
        },
        review: Review::Approved { at: now },
        version: 1,
        created_at: now,
        updated_at: now,
        rank: 0,
        place: 0,
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let place = args.next().unwrap_or_else(|| "planning.db".to_owned());
    let mut number = || args.next().and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let (events, vendors) = (number(), number());
    let location =
        if place.starts_with("postgres") { Location::Server(place) } else { Location::File(place.into()) };
    let store = Store::open(Options { location, group_max: None }, BEGIN, &Owner::default()).await?;
    let seeded = Seeded(AtomicU64::new(1));
    let id = ProjectId::mint(BEGIN, &seeded);
    let project = Project { id, name: DEFAULT_PROJECT.to_owned(), created_at: BEGIN };
    let tenant = Tenant::of(&store.ensure_project(project).await?.id, Environment::Live);
    let begun = Instant::now();
    fill(&store, events, |set, n| set.add_event(&tenant, &event(&seeded, n))).await?;
    fill(&store, vendors, |set, n| set.add_entry(&vendor(&seeded, n))).await?;
    println!("{events} events and {vendors} vendors in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn fill(store: &Store, rows: u64, add: impl Fn(&mut WriteSet, u64)) -> Result<(), Error> {
    for begin in (0..rows).step_by(ROWS as usize) {
        let mut set = WriteSet::new();
        (begin..rows.min(begin + ROWS)).for_each(|n| add(&mut set, n));
        store.submit(set).await?;
    }
    Ok(())
}
