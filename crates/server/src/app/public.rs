//! What the public sees of events: those that want to be seen, without what their organisers keep to themselves.
//!
//! Invariant: only events that are public, planned or active, and live are looked at; what a switch hides is neither
//! shown nor searched.
//! Not here: the directory (see `directory`).

use crate::app::events::{filter, order, page};
use crate::face::list::List;
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::id::EventId;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::{Part, Plan};
use openevent_domain::planning::status::Status;
use openevent_store::planning::events::{Audience, Filter, Listing};
use serde::Serialize;
use serde_json::{Map, Value};

/// Statuses of what the public sees.
const SEEN: [Status; 2] = [Status::Planning, Status::Active];

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    status: Status,
    #[serde(flatten)]
    plan: Map<String, Value>,
}

fn shown(event: &Event) -> Shown<'_> {
    let id = event.id.as_str();
    Shown { underscore_id: id, id, status: event.state.status(), plan: seen(&event.plan) }
}

/// A plan without what its switches hide, and without the switches.
fn seen(plan: &Plan) -> Map<String, Value> {
    let mut members = plan.members();
    members.remove("publicVisibility");
    for (part, names) in [
        (Part::Budget, &["budget", "budgetCurrency"][..]),
        (Part::Attendees, &["expectedAttendees"]),
        (Part::Venue, &["venueName", "venueAddress", "virtualPlatform"]),
        (Part::Requirements, &["requirements"]),
    ] {
        if !plan.public_visibility.shows(part) {
            members.retain(|name, _| !names.contains(&name.as_str()));
        }
    }
    members
}

/// The filters the public may use.
pub fn filters(params: &Params) -> Result<Filter, Problem> {
    let status = params.one_of("status", &SEEN.map(|status| (status.as_str(), status)))?;
    Ok(Filter { status, is_public: None, ..filter(params)? })
}

/// A page of public events.
pub async fn events(app: &App, list: &List) -> Result<Reply, Problem> {
    let filter = filters(&list.params)?;
    let (sort, direction) = order(&list.params, filter.search.is_some())?;
    let listing = Listing { audience: Audience::Public, filter, sort, direction };
    let (rows, meta) = page(app, &listing, list).await?;
    let shown: Vec<_> = rows.iter().map(|row| shown(&row.event)).collect();
    Ok(list.reply(&shown, &meta))
}

/// One public event.
pub async fn event(app: &App, id: &str) -> Result<Event, Problem> {
    let missing = || Problem::not_found("Event");
    let id = EventId::parse(id).ok_or_else(missing)?;
    app.store.public_event(&id).await?.map(|record| record.event).ok_or_else(missing)
}

/// The answer that shows a public event.
pub fn reply(event: &Event) -> Reply {
    Reply::ok(&shown(event)).tagged()
}
