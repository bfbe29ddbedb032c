//! `/events` and what is below it: public events for people, without scripts and without signing in.
//!
//! Invariant: shows what `/api/v1/public/events` shows, no more; the page gets events whose hidden parts are gone.
//! Not here: which events are public (`app::public`), words for machines (`linked`), feeds (`feeds`).

use super::feeds;
use super::head::Head;
use super::linked;
use super::links::{Choice, beginning, choices, keeping, spoken};
use super::page::{Page, Sheet};
use super::site::Site;
use super::when::When;
use crate::app::calendar;
use crate::app::public::{self as use_case, Seen};
use crate::face::endpoint::endpoint;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::state::App;
use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use openevent_domain::ambient::Millis;
use openevent_domain::planning::calendar::Reader;
use openevent_domain::planning::plan::LocationType;
use openevent_domain::planning::status::Status;
use openevent_store::planning::events::{Direction, Filter, Sort};
use serde_json::Value;
use std::sync::Arc;

/// Filters that links keep.
const KEPT: [&str; 10] = [
    "search",
    "eventType",
    "locationType",
    "seekingVendors",
    "seekingSponsors",
    "status",
    "from",
    "to",
    "when",
    "sort",
];
/// Types that are offered; others are found all the same.
const TYPES: [&str; 5] = ["conference", "meetup", "workshop", "hackathon", "gala"];
/// How long after its start an event still counts as coming, when nobody says from when on.
const RUNNING_MS: Millis = 86_400_000;
/// Characters of a description in a list.
const EXCERPT_CHARS_MAX: usize = 180;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/events", get(endpoint(list)))
        .route("/events.ics", get(endpoint(feeds::calendar)))
        .route("/events.atom", get(endpoint(feeds::atom)))
        .route("/events/{id}", get(endpoint(one)))
}

/// An event in a list.
struct Card {
    href: String,
    title: String,
    when: When,
    place: Option<String>,
    kind: Option<String>,
    excerpt: Option<String>,
    seeks_vendors: bool,
    seeks_sponsors: bool,
}

impl Card {
    fn of(seen: &Seen) -> Self {
        let plan = &seen.plan;
        Self {
            href: path(seen),
            title: plan.title.clone(),
            when: When::of(plan),
            place: place(seen),
            kind: plan.event_type.as_deref().map(spoken),
            excerpt: plan.description.as_deref().map(|text| beginning(text, EXCERPT_CHARS_MAX)),
            seeks_vendors: plan.seeking_vendors,
            seeks_sponsors: plan.seeking_sponsors,
        }
    }
}

/// Where the page of an event is.
pub(super) fn path(seen: &Seen) -> String {
    format!("/events/{}", seen.id)
}

/// Where it takes place, in a few words.
fn place(seen: &Seen) -> Option<String> {
    let plan = &seen.plan;
    let kind = plan.location_type.map(|kind| spoken(kind.as_str()));
    match (&plan.venue_name, plan.location_type) {
        (Some(hall), Some(LocationType::Hybrid)) => Some(format!("{hall} and online")),
        (Some(hall), _) => Some(hall.clone()),
        (None, Some(LocationType::Virtual)) => Some("Online".to_owned()),
        (None, _) => kind,
    }
}

#[derive(Template)]
#[template(path = "events.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a box of the form or a word of the page")]
struct Events {
    head: Head,
    search: String,
    types: Vec<Choice>,
    locations: Vec<Choice>,
    seeks_vendors: bool,
    seeks_sponsors: bool,
    shows_all: bool,
    is_filtered: bool,
    is_continued: bool,
    total: i64,
    cards: Vec<Card>,
    first: String,
    next: Option<String>,
    calendar: String,
    feed: String,
}

impl Sheet for Events {
    fn head(&self) -> &Head {
        &self.head
    }
}

/// The filters of a page: as in the API, but what is over is left out unless it was asked for.
pub(super) fn filters(params: &Params, now: Millis) -> Result<Filter, Problem> {
    let filter = use_case::filters(params)?;
    let wants_all = params.one_of("when", &[("coming", false), ("any", true)])?.unwrap_or_default();
    let is_dated = filter.from.is_some() || filter.to.is_some();
    let from = if wants_all || is_dated { filter.from } else { Some(now - RUNNING_MS) };
    Ok(Filter { from, ..filter })
}

async fn list(
    State(app): State<Arc<App>>,
    site: Site,
    Moment(now): Moment,
    list: List,
) -> Result<Page, Problem> {
    let params = &list.params;
    let filter = filters(params, now)?;
    let usual = if filter.search.is_some() {
        (Sort::Relevance, Direction::Descending)
    } else {
        (Sort::Start, Direction::Ascending)
    };
    let order = match params.get("sort") {
        Some(_) => crate::app::events::order(params, false)?,
        None => usual,
    };
    let (events, meta) = use_case::page_of(&app, filter, order, &list).await?;
    let is_chosen = |name: &str| params.get(name) == Some("true");
    let (is_filtered, is_continued) =
        (KEPT.iter().any(|name| params.get(name).is_some()), params.get("cursor").is_some());
    let sheet = Events {
        head: head(&site, &events, is_filtered || is_continued),
        search: params.get("search").unwrap_or_default().to_owned(),
        types: choices(TYPES, params.get("eventType")),
        locations: choices(LocationType::ALL.map(LocationType::as_str), params.get("locationType")),
        seeks_vendors: is_chosen("seekingVendors"),
        seeks_sponsors: is_chosen("seekingSponsors"),
        shows_all: params.get("when") == Some("any"),
        is_filtered,
        is_continued,
        total: meta.total,
        cards: events.iter().map(Card::of).collect(),
        first: keeping("/events", params, &KEPT, None),
        next: meta.next_cursor.map(|place| keeping("/events", params, &KEPT, Some(("cursor", &place)))),
        calendar: keeping("/events.ics", params, &KEPT, None),
        feed: keeping("/events.atom", params, &KEPT, None),
    };
    Page::of(&sheet)
}

fn head(site: &Site, events: &[Seen], is_part: bool) -> Head {
    let items = events.iter().map(|seen| (seen.plan.title.clone(), site.at(&path(seen))));
    let head = Head::titled("Events")
        .described("Conferences, meetups, workshops and more that are open to everybody, with calendars to subscribe to.")
        .at(site.at("/events"))
        .also("text/calendar", "/events.ics", "Events as a calendar")
        .also("application/atom+xml", "/events.atom", "New events")
        .with_data(&linked::list("Events", items));
    // Search engines are to know the list and the events, not every question one may ask.
    if is_part { head.hidden() } else { head }
}

/// A requirement: what of, and which.
struct Requirement {
    name: String,
    value: String,
}

#[derive(Template)]
#[template(path = "event.html")]
struct OneEvent {
    head: Head,
    seen: Seen,
    when: When,
    kind: Option<String>,
    place: Option<String>,
    paragraphs: Vec<String>,
    standing: &'static str,
    budget: Option<String>,
    requirements: Vec<Requirement>,
    categories: Vec<String>,
    calendar: String,
}

impl Sheet for OneEvent {
    fn head(&self) -> &Head {
        &self.head
    }
}

async fn one(State(app): State<Arc<App>>, site: Site, Path(id): Path<String>) -> Result<Response, Problem> {
    if let Some(id) = id.strip_suffix(calendar::SUFFIX) {
        return Ok(calendar::one(use_case::event(&app, id).await?, Reader::Public));
    }
    let seen = Seen::of(use_case::event(&app, &id).await?);
    Ok(Page::of(&sheet(&site, seen))?.into_response())
}

fn sheet(site: &Site, seen: Seen) -> OneEvent {
    let (plan, when) = (&seen.plan, When::of(&seen.plan));
    let address = site.at(&path(&seen));
    let calendar = format!("{}{}", path(&seen), calendar::SUFFIX);
    let words = match plan.description.as_deref() {
        Some(text) => beginning(text, EXCERPT_CHARS_MAX),
        None => format!("{}, {}", plan.title, when.start),
    };
    let head = Head::titled(&plan.title)
        .described(words)
        .at(&address)
        .also("text/calendar", &calendar, "This event as a calendar")
        .with_data(&linked::event(&seen, &when, &address));
    let requirements = plan.requirements.iter().flatten();
    OneEvent {
        kind: plan.event_type.as_deref().map(spoken),
        place: place(&seen),
        paragraphs: paragraphs(plan.description.as_deref().unwrap_or_default()),
        standing: if seen.status == Status::Active { "Confirmed" } else { "In planning" },
        budget: plan.budget.map(|amount| {
            format!("{} {amount}", plan.budget_currency.map_or("", |currency| currency.code()))
        }),
        requirements: requirements
            .map(|(name, value)| Requirement { name: apart(name), value: told(value) })
            .collect(),
        categories: plan.vendor_categories.iter().map(|word| spoken(word)).collect(),
        head,
        when,
        calendar,
        seen,
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// The name of a member as words: `setUp` is `Set up`.
fn apart(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(letter);
        }
    }
    spoken(&words)
}

/// A value of JSON as people say it.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", apart(name), told(value));
            members.iter().map(member).collect::<Vec<_>>().join("; ")
        }
        number @ Value::Number(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requirements_are_told_in_words() {
        assert_eq!([apart("setUp"), apart("WiFi"), apart("power_kw")], ["Set up", "Wi fi", "Power kw"]);
        assert_eq!(told(&json!({"aB": [1, true, null], "c": "d"})), "A b: 1, yes, –; C: d");
    }

    #[test]
    fn empty_lines_part_paragraphs() {
        assert_eq!(paragraphs("a\r\nb\r\n\r\n\r\nc\n\n \n"), ["a\nb", "c"]);
    }
}
