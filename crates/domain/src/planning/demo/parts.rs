//! What hangs on demo events: tasks that wait for each other, and what things cost.
//!
//! Invariant: a task waits for earlier ones of its event only, and is not completed before they are. An item is as
//! certain as its event is far.
//! Not here: the rules of tasks and budgets.

use super::Season;
use super::dice::Dice;
use super::gathering::{DAY_MS, Kind, Made};
use super::places::City;
use crate::ambient::Millis;
use crate::id::{BudgetItemId, TaskId};
use crate::planning::budget::{Certainty, Item};
use crate::planning::event::Event;
use crate::planning::money::{Amount, Currency};
use crate::planning::status::Status;
use crate::planning::task::{Priority, Progress, Task};

/// A task as every event of some size has it.
struct Chore {
    title: &'static str,
    category: &'static str,
    /// Days before the event; negative ones are after it.
    ahead_days: i64,
    priority: Priority,
    after: &'static [usize],
    /// Kinds of events that can do without.
    not_for: &'static [&'static str],
}

const fn chore(
    title: &'static str,
    category: &'static str,
    ahead_days: i64,
    priority: Priority,
    after: &'static [usize],
    not_for: &'static [&'static str],
) -> Chore {
    Chore { title, category, ahead_days, priority, after, not_for }
}

static CHORES: [Chore; 18] = [
    chore("Agree on goals and budget", "planning", 150, Priority::High, &[], &[]),
    chore("Sign the venue contract", "venue", 120, Priority::Urgent, &[0], &[]),
    chore("Open the call for proposals", "programme", 110, Priority::High, &[0], &["gala", "workshop"]),
    chore("Choose the proposals", "programme", 80, Priority::High, &[2], &["gala", "workshop"]),
    chore("Invite the jury", "programme", 75, Priority::Medium, &[0], &["meetup", "workshop", "conference"]),
    chore("Publish the programme", "programme", 60, Priority::High, &[3], &[]),
    chore("Open registration", "tickets", 70, Priority::High, &[1], &[]),
    chore("Write to past sponsors", "sponsors", 95, Priority::Medium, &[0], &["meetup"]),
    chore("Ask caterers for offers", "catering", 55, Priority::Medium, &[1], &[]),
    chore("Order catering", "catering", 25, Priority::High, &[6, 8], &[]),
    chore("Book sound, light and recording", "production", 50, Priority::Medium, &[1], &["workshop"]),
    chore("Announce on all channels", "marketing", 45, Priority::Medium, &[5, 6], &[]),
    chore("Find volunteers", "people", 40, Priority::Medium, &[6], &["workshop"]),
    chore("Print badges and signs", "production", 12, Priority::Low, &[6], &["meetup"]),
    chore("Brief volunteers and speakers", "people", 4, Priority::High, &[12], &[]),
    chore("Check the stage", "production", 1, Priority::Urgent, &[10], &["workshop"]),
    chore("Send thanks and collect feedback", "follow-up", -3, Priority::Medium, &[], &[]),
    chore("Close the books", "follow-up", -21, Priority::Low, &[16], &[]),
];

const TEAMS: [&str; 7] = [
    "Programme team",
    "Venue lead",
    "Volunteer desk",
    "Finance",
    "Production",
    "Partnerships",
    "Press office",
];

/// What is to be done for an event.
pub(super) fn tasks(
    season: &Season,
    dice: &Dice,
    ids: &Dice,
    event: &Event,
    kind: &Kind,
) -> Vec<Made<TaskId, Task>> {
    let mut made: Vec<Option<Made<TaskId, Task>>> = Vec::with_capacity(CHORES.len());
    for chore in &CHORES {
        if chore.not_for.contains(&kind.word) {
            made.push(None);
            continue;
        }
        let before: Vec<_> = chore.after.iter().filter_map(|place| made[*place].as_ref()).collect();
        let due = event.plan.start_at - chore.ahead_days * DAY_MS;
        let is_free = before.iter().all(|one| one.body.status == Progress::Completed);
        let status = progress(season, dice, event, due, is_free);
        let blocked_by = before.iter().map(|one| one.id.clone()).collect();
        let id = TaskId::mint(event.created_at, ids);
        let last = due.min(season.now);
        let done_at = dice.between((last - 9 * DAY_MS).max(event.created_at.min(last)), last);
        let body = Task {
            title: chore.title.to_owned(),
            description: dice.percent(25).then(|| format!("For {}.", event.plan.title)),
            category: Some(chore.category.to_owned()),
            priority: chore.priority,
            status,
            completed_at: (status == Progress::Completed).then_some(done_at),
            first_completed_at: (status == Progress::Completed).then_some(done_at),
            due_date: Some(due),
            assignee: dice.percent(80).then(|| dice.pick(&TEAMS).to_owned()),
            blocked_by,
            links: Vec::new(),
        };
        made.push(Some(Made { id, body, created_at: event.created_at }));
    }
    made.into_iter().flatten().collect()
}

fn progress(season: &Season, dice: &Dice, event: &Event, due: Millis, is_free: bool) -> Progress {
    let is_soon = due < season.now + 14 * DAY_MS;
    match event.state.status() {
        Status::Draft => Progress::Todo,
        _ if !is_free => {
            if is_soon && dice.percent(50) {
                Progress::Blocked
            } else {
                Progress::Todo
            }
        }
        _ if due < season.now => {
            if dice.percent(93) {
                Progress::Completed
            } else {
                Progress::InProgress
            }
        }
        _ if is_soon => Progress::InProgress,
        _ if dice.percent(12) => Progress::InProgress,
        _ => Progress::Todo,
    }
}

/// An item as events have it, with its share of the whole in percent.
static SHARES: [(&str, &str, i64); 9] = [
    ("venue", "Hall and rooms", 28),
    ("catering", "Food and drinks", 24),
    ("production", "Sound, light and recording", 14),
    ("people", "Travel of speakers and guests", 10),
    ("people", "Crew and interpreters", 8),
    ("marketing", "Design and announcements", 5),
    ("production", "Badges, signs and print", 3),
    ("planning", "Insurance and permits", 3),
    ("planning", "Reserve", 5),
];

/// What an event costs.
pub(super) fn budget(dice: &Dice, ids: &Dice, event: &Event, city: &City) -> Vec<Made<BudgetItemId, Item>> {
    let whole = event.plan.budget.map_or(0, Amount::thousandths);
    let currency = event.plan.budget_currency.or(Currency::parse(city.currency).ok()).unwrap_or_default();
    let item = |(category, name, percent): &(&str, &str, i64)| {
        let estimate = whole / 100 * percent * dice.between(85, 112) / 100;
        let status = certainty(dice, event.state.status());
        let actual = estimate * dice.between(86, 113) / 100;
        let is_known = status == Certainty::Paid || (status == Certainty::Committed && dice.percent(35));
        let body = Item {
            category: (*category).to_owned(),
            name: (*name).to_owned(),
            estimated_amount: cents(estimate),
            actual_amount: is_known.then(|| cents(actual)),
            currency,
            status,
            notes: dice.percent(15).then(|| "As offered; valid for ninety days.".to_owned()),
            ..Item::default()
        };
        Made { id: BudgetItemId::mint(event.created_at, ids), body, created_at: event.created_at }
    };
    SHARES.iter().map(item).collect()
}

fn certainty(dice: &Dice, status: Status) -> Certainty {
    match (status, dice.below(100)) {
        (Status::Completed, 0..92) | (Status::Active, 0..30) => Certainty::Paid,
        (Status::Active, _) | (Status::Planning, 0..35) => Certainty::Committed,
        (Status::Cancelled, 0..70) => Certainty::Cancelled,
        _ => Certainty::Planned,
    }
}

/// To the cent.
fn cents(thousandths: i64) -> Amount {
    Amount::trusted(thousandths / 10 * 10)
}
