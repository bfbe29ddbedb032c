//! Demo vendors and sponsors.
//!
//! Invariant: every profile passes [`Profile::read`] as an admin's; names do not repeat within a side of the
//! directory. Addresses are under example.org, telephone numbers are those kept for fiction.
//! Not here: which events they take part in.

use super::Season;
use super::dice::Dice;
use super::places::{CITIES, City};
use super::trades::{FIRSTS, SPONSORS, Trade, VENDORS};
use super::words::{PEOPLE, TOPICS, invented, listed};
use crate::ambient::Millis;
use crate::id::EntryId;
use crate::planning::directory::{PriceRange, Profile, Review, Side};
use crate::planning::money::Amount;

const DAY_MS: Millis = 86_400_000;
/// How long ago the first of them came.
const AGE_DAYS: i64 = 700;
/// Endings of the names a trade has.
const ENDINGS: u64 = 4;

/// A vendor or a sponsor.
#[derive(Clone, Debug, PartialEq)]
pub struct Party {
    /// Their id.
    pub id: EntryId,
    /// Which half of the directory they are in.
    pub side: Side,
    /// What is said of them.
    pub profile: Profile,
    /// What the admins say to it.
    pub review: Review,
    /// When they came.
    pub created_at: Millis,
    /// Which of its side it is.
    pub(super) index: u64,
}

/// The party with this index.
pub(super) fn party(season: &Season, side: Side, index: u64) -> Party {
    let dice = Dice::of(season.seed, side.as_str(), index);
    let created_at = season.now - dice.between(2 * 3_600_000, AGE_DAYS * DAY_MS);
    let id = EntryId::mint(created_at, &season.ids(side.as_str(), index));
    let trade = trade(side, index);
    let place = &CITIES[dice.below(CITIES.len() as u64) as usize];
    let profile = match side {
        Side::Vendor => vendor(&dice, trade, place, index),
        Side::Sponsor => sponsor(&dice, trade, place, index),
    };
    let review = review(&dice, created_at.max(season.now - 40 * DAY_MS), season.now);
    Party { id, side, profile, review, created_at, index }
}

/// The trade of the party with this index; they take turns.
pub(super) fn trade(side: Side, index: u64) -> &'static Trade {
    let all: &[Trade] = match side {
        Side::Vendor => &VENDORS,
        Side::Sponsor => &SPONSORS,
    };
    &all[(index % all.len() as u64) as usize]
}

/// How many take turns before the same trade comes again.
pub(super) fn trades(side: Side) -> u64 {
    match side {
        Side::Vendor => VENDORS.len() as u64,
        Side::Sponsor => SPONSORS.len() as u64,
    }
}

fn review(dice: &Dice, from: Millis, now: Millis) -> Review {
    let at = dice.between(from, now);
    match dice.below(100) {
        0..88 => Review::Approved { at },
        88..97 => Review::Pending,
        _ => Review::Rejected {
            at,
            reason: Some("We could not reach you under the address given.".to_owned()),
        },
    }
}

/// A name of its own: while short ones last `Juniper Kitchen`, afterwards `Juniper Kitchen Kavek`.
fn name(side: Side, trade: &Trade, index: u64) -> String {
    let turn = index / trades(side);
    let firsts = FIRSTS.len() as u64;
    let first = FIRSTS[((turn + index % trades(side) * 7) % firsts) as usize];
    let round = turn / firsts;
    let ending = trade.endings[((turn + round) % ENDINGS) as usize];
    match round / ENDINGS {
        0 => format!("{first} {ending}"),
        more => format!("{first} {ending} {}", invented(more)),
    }
}

/// The host of their site and mail.
fn host(name: &str) -> String {
    let letters = name.to_lowercase().replace(' ', "-");
    format!("{letters}.example.org")
}

fn common(dice: &Dice, side: Side, trade: &Trade, index: u64) -> Profile {
    let name = name(side, trade, index);
    let host = host(&name);
    let desk = dice.pick(&["Booking desk", "Events team", "Partnerships", "Front office"]);
    Profile {
        website: Some(format!("https://{host}/")),
        contact_name: Some(desk.to_owned()),
        contact_email: Some(format!("events@{host}")),
        contact_phone: dice.percent(60).then(|| format!("+1 202 555 01{:02}", dice.below(100))),
        verified: dice.percent(55),
        name,
        ..Profile::default()
    }
}

fn vendor(dice: &Dice, trade: &Trade, place: &City, index: u64) -> Profile {
    let offers = dice.some(&trade.offers, dice.between(2, 4) as usize);
    let words: Vec<_> = offers.iter().map(|offer| (*offer).to_owned()).collect();
    let crowd = [40, 80, 150, 300, 800, 2_000][dice.below(6) as usize];
    let habit = dice.pick(&[
        "We come early, leave the place cleaner than we found it and answer mail within a day.",
        "A small team with its own equipment; no middlemen.",
        "We plan with you from the first sketch and bill what was agreed.",
        "Family-run, reliable, and happy to improvise when the plan changes.",
        "Everything we bring is reused; what is left over is shared.",
        "We speak four languages and know most loading docks in town by name.",
    ]);
    let known = invented(dice.rank(4_000 + index));
    let rating = dice.percent(80).then(|| Amount::trusted(dice.between(32, 50) * 100));
    Profile {
        category: Some(trade.word.to_owned()),
        description: Some(format!(
            "{} for up to {crowd} guests in {} and around. {habit} Best known for the {known} evenings.",
            super::words::capital(&listed(&words)),
            place.name
        )),
        services: words,
        location: Some(format!("{}, {}", place.name, place.country)),
        price_range: Some(PriceRange::ALL[dice.below(3) as usize]),
        review_count: rating.map(|_| dice.between(1, 140)),
        rating,
        ..common(dice, Side::Vendor, trade, index)
    }
}

fn sponsor(dice: &Dice, trade: &Trade, place: &City, index: u64) -> Profile {
    let gifts = dice.some(&trade.offers, 2);
    let words: Vec<_> = gifts.iter().map(|gift| (*gift).to_owned()).collect();
    let topics: Vec<_> = dice.some(&TOPICS, 2).into_iter().map(str::to_lowercase).collect();
    let least = trade.day_price * dice.between(1, 4) / 4;
    let programme = invented(dice.rank(2_000 + index));
    Profile {
        industry: Some(trade.word.to_owned()),
        description: Some(format!(
            "Based in {}. Supports events with {} and has a soft spot for {}. Its programme {programme} runs all year.",
            place.name,
            listed(&words),
            listed(&topics)
        )),
        sponsorship_tiers: tiers(dice),
        budget_min: Some(Amount::trusted(least * 1_000)),
        budget_max: Some(Amount::trusted(least * dice.between(3, 8) * 1_000)),
        target_event_types: dice
            .some(&["conference", "meetup", "workshop", "hackathon", "gala"], dice.between(1, 3) as usize)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        target_audience: Some(dice.pick(&PEOPLE).to_owned()),
        ..common(dice, Side::Sponsor, trade, index)
    }
}

fn tiers(dice: &Dice) -> Vec<String> {
    let from = dice.below(3) as usize;
    ["bronze", "silver", "gold", "platinum"][from..from + 2].iter().map(|tier| (*tier).to_owned()).collect()
}
