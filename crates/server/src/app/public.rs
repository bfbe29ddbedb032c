//! What the public sees of events: those that want to be seen, without what their organisers keep to themselves.
//!
//! Invariant: only events that are public, planned or active, and live are looked at; what a switch hides is neither
//! shown nor searched.
//! Not here: the directory (see `directory`).

use crate::app::events::{filter, order, page};
use crate::face::list::{List, ListMeta};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::EventId;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::{Part, Plan};
use openevent_domain::planning::status::Status;
use openevent_store::planning::events::{Audience, Direction, Filter, Listing, Sort};
use serde::Serialize;
use serde_json::{Map, Value};

/// Statuses of what the public sees.
const SEEN: [Status; 2] = [Status::Planning, Status::Active];

/// An event as the public sees it: what its organisers hide is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: EventId,
    /// Planning or active.
    pub status: Status,
    /// What may be seen of the plan. Its switches say nothing here.
    pub plan: Plan,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

impl Seen {
    /// Leaves out what an event's switches hide.
    pub fn of(event: Event) -> Self {
        let Event { id, mut plan, state, created_at, updated_at, .. } = event;
        let shown = std::mem::take(&mut plan.public_visibility);
        if !shown.shows(Part::Budget) {
            (plan.budget, plan.budget_currency) = (None, None);
        }
        if !shown.shows(Part::Attendees) {
            plan.expected_attendees = None;
        }
        if !shown.shows(Part::Venue) {
            (plan.venue_name, plan.venue_address, plan.virtual_platform) = (None, None, None);
        }
        if !shown.shows(Part::Requirements) {
            plan.requirements = None;
        }
        Self { id, status: state.status(), plan, created_at, updated_at }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    status: Status,
    #[serde(flatten)]
    plan: Map<String, Value>,
}

fn shown(seen: &Seen) -> Shown<'_> {
    let id = seen.id.as_str();
    let mut plan = seen.plan.members();
    plan.remove("publicVisibility");
    Shown { underscore_id: id, id, status: seen.status, plan }
}

/// The filters the public may use.
pub fn filters(params: &Params) -> Result<Filter, Problem> {
    let status = params.one_of("status", &SEEN.map(|status| (status.as_str(), status)))?;
    Ok(Filter { status, is_public: None, ..filter(params)? })
}

/// A page of public events, and what it says about itself.
pub async fn page_of(
    app: &App,
    filter: Filter,
    order: (Sort, Direction),
    list: &List,
) -> Result<(Vec<Seen>, ListMeta), Problem> {
    let (sort, direction) = order;
    let listing = Listing { audience: Audience::Public, filter, sort, direction };
    let (rows, meta) = page(app, &listing, list).await?;
    Ok((rows.into_iter().map(|row| Seen::of(row.event)).collect(), meta))
}

/// The answer that shows a page of public events.
pub async fn events(app: &App, list: &List) -> Result<Reply, Problem> {
    let filter = filters(&list.params)?;
    let order = order(&list.params, filter.search.is_some())?;
    let (events, meta) = page_of(app, filter, order, list).await?;
    let shown: Vec<_> = events.iter().map(shown).collect();
    Ok(list.reply(&shown, &meta))
}

/// One public event.
pub async fn event(app: &App, id: &str) -> Result<Event, Problem> {
    let missing = || Problem::not_found("Event");
    let id = EventId::parse(id).ok_or_else(missing)?;
    app.store.public_event(&id).await?.map(|record| record.event).ok_or_else(missing)
}

/// The answer that shows a public event.
pub fn reply(event: Event) -> Reply {
    Reply::ok(&shown(&Seen::of(event))).tagged()
}
