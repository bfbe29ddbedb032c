//! Planned events.
//!
//! Invariant: the columns that lists filter and sort by are derived from the plan in one place, [`columns`]; an
//! update or a deletion names the version it was decided on.
//! Not here: which transitions there are, lists (see `event_lists`).

pub use super::event_lists::{Audience, Direction, Filter, Key, Listing, Place, Sort};

use super::event_lists::Facet;
use super::search::{text_tokens, title_tokens};
use super::unread::Document;
use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::{Row, Value, parse};
use crate::write::{Expect, Write, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::EventId;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::{LocationType, Plan};
use openevent_domain::planning::search::sort_key;
use openevent_domain::planning::status::{State, Status};
use openevent_domain::tenant::{Environment, Tenant};
use serde::Deserialize;

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord<P = Plan> {
    /// The event.
    pub event: Event<P>,
    /// Moves with every change of what hangs on it.
    pub touched: i64,
    /// Where it is in the list it was found by.
    pub key: Key,
}

static ADD: Bulk = Bulk::insert_searchable(
    "events",
    &[
        ("plan", Kind::Text),
        ("status", Kind::Text),
        ("status_at", Kind::Int),
        ("status_from", Kind::Text),
        ("starts_at", Kind::Int),
        ("event_type", Kind::Text),
        ("location_type", Kind::Text),
        ("is_public", Kind::Int),
        ("seeking_vendors", Kind::Int),
        ("seeking_sponsors", Kind::Int),
        ("listed", Kind::Int),
        ("title_key", Kind::Text),
        ("search_title", Kind::Text),
        ("search_text", Kind::Text),
        ("facets", Kind::Text),
        ("version", Kind::Int),
        ("updated_at", Kind::Int),
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("owner", Kind::Text),
        ("touched", Kind::Int),
        ("created_at", Kind::Int),
    ],
);
static CHANGE: Sql = Sql::same(
    "UPDATE events SET plan = $1, status = $2, status_at = $3, status_from = $4, starts_at = $5, event_type = $6, \
     location_type = $7, is_public = $8, seeking_vendors = $9, seeking_sponsors = $10, listed = $11, title_key = $12, \
     search_title = $13, search_text = $14, facets = $15, version = $16, updated_at = $17 \
     WHERE tenant = $18 AND id = $19 AND version = $20",
);
static DELETE: Sql =
    Sql::same("DELETE FROM events WHERE tenant = $1 AND id = $2 AND version = $3 AND touched = $4");
pub(super) const COLUMNS: &str =
    "SELECT id, plan, status, status_at, status_from, owner, version, touched, created_at, updated_at,";
const MEANWHILE: &str = "the event was changed meanwhile";

pub(crate) const STATEMENTS: &[&Sql] = &[&CHANGE, &DELETE];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

impl WriteSet {
    /// A new event.
    pub fn add_event(&mut self, tenant: &Tenant, event: &Event) {
        let mut values = columns(tenant, event);
        values.extend([
            event.id.as_str().into(),
            tenant.as_str().into(),
            event.owner.as_str().into(),
            0.into(),
            event.created_at.into(),
        ]);
        self.rows.push((&ADD, values));
        self.moves_lists = true;
    }

    /// An event as it is now, which was at `version` when that was decided.
    pub fn change_event(&mut self, tenant: &Tenant, event: &Event, version: i64) {
        let mut args = columns(tenant, event);
        args.extend([tenant.as_str().into(), event.id.as_str().into(), version.into()]);
        self.writes.push(Write { sql: &CHANGE, args, expect: Expect::One(MEANWHILE) });
        self.moves_lists = true;
    }

    /// Removes an event as it was read.
    pub fn delete_event(&mut self, tenant: &Tenant, record: &EventRecord) {
        let event = &record.event;
        let args =
            [tenant.as_str().into(), event.id.as_str().into(), event.version.into(), record.touched.into()];
        self.write(&DELETE, args, Expect::One(MEANWHILE));
        self.moves_lists = true;
    }
}

impl Store {
    /// One event of a tenant.
    pub async fn event(&self, tenant: &Tenant, id: &EventId) -> Result<Option<EventRecord>, Error> {
        self.row(by_id(tenant, id)).await?.map(alone).transpose()
    }

    /// One event that the public may see, whosever it is.
    pub async fn public_event(&self, id: &EventId) -> Result<Option<EventRecord>, Error> {
        self.row(listed(id)).await?.map(alone).transpose()
    }
}

/// What lists filter by, as tokens. The index over them knows the answer to any combination of filters.
fn facets(tenant: &Tenant, event: &Event, listed: bool) -> String {
    let plan = &event.plan;
    let known = [
        Some(Facet::Tenant(tenant)),
        listed.then_some(Facet::Listed),
        Some(Facet::Status(event.state.status())),
        plan.event_type.as_deref().map(Facet::EventType),
        plan.location_type.map(Facet::LocationType),
        Some(Facet::IsPublic(plan.is_public)),
        Some(Facet::SeekingVendors(plan.seeking_vendors)),
        Some(Facet::SeekingSponsors(plan.seeking_sponsors)),
    ];
    known.into_iter().flatten().map(Facet::token).collect::<Vec<_>>().join(" ")
}

/// What is derived from an event, in the order of [`CHANGE`], which is also how a row of [`ADD`] begins.
fn columns(tenant: &Tenant, event: &Event) -> Vec<Value> {
    let (plan, state) = (&event.plan, event.state);
    let status = state.status();
    let is_open = matches!(status, Status::Planning | Status::Active);
    let listed = plan.is_public && is_open && tenant.environment() == Environment::Live;
    // Only what no switch hides may be found by the public, and one index serves everybody.
    let texts = [Some(plan.title.as_str()), plan.description.as_deref(), plan.event_type.as_deref()];
    vec![
        serde_json::to_string(plan).unwrap_or_default().into(),
        status.as_str().into(),
        state.since().into(),
        state.cancelled_from().map(Status::as_str).into(),
        plan.start_at.into(),
        plan.event_type.as_deref().into(),
        plan.location_type.map(LocationType::as_str).into(),
        plan.is_public.into(),
        plan.seeking_vendors.into(),
        plan.seeking_sponsors.into(),
        listed.into(),
        sort_key(&plan.title).into(),
        title_tokens(&plan.title).into(),
        text_tokens(texts).into(),
        facets(tenant, event, listed).into(),
        event.version.into(),
        event.updated_at.into(),
    ]
}

fn alone(row: Row) -> Result<EventRecord, Error> {
    record(row, Sort::Creation).map(|(record, _)| record)
}

fn by_id(tenant: &Tenant, id: &EventId) -> Select {
    Select::new(COLUMNS, [])
        .then("seq FROM events")
        .then_arg("WHERE tenant =", tenant.as_str())
        .and("id =", id.as_str())
}

fn listed(id: &EventId) -> Select {
    Select::new(COLUMNS, []).then("seq FROM events WHERE listed = 1").and("id =", id.as_str())
}

/// What lists are ordered by in a plan.
#[derive(Deserialize)]
struct Ordered {
    title: String,
    #[serde(rename = "startDate")]
    start_at: Millis,
}

/// A row with its place in the order of commits.
pub(super) fn record<P: Document>(mut row: Row, sort: Sort) -> Result<(EventRecord<P>, i64), Error> {
    let id = EventId::trusted(row.text()?);
    let plan = row.text()?;
    let status = status(&row.text()?)?;
    let at = row.int_or_null()?;
    let from = row.text_or_null()?.map(|word| self::status(&word)).transpose()?;
    let state = State::trusted(status, at, from);
    let (owner, version, touched) = (row.text()?, row.int()?, row.int()?);
    let (created_at, updated_at, seq) = (row.int()?, row.int()?, row.int()?);
    let key = match sort {
        Sort::Creation => Key::Time(created_at),
        Sort::Start => Key::Time(parse::<Ordered>(&plan)?.start_at),
        Sort::Update => Key::Time(updated_at),
        Sort::Title => Key::Text(sort_key(&parse::<Ordered>(&plan)?.title)),
        Sort::Relevance => Key::Rank(0, created_at),
    };
    let event = Event { id, plan: P::of(plan)?, state, owner, version, created_at, updated_at };
    Ok((EventRecord { event, touched, key }, seq))
}

fn status(word: &str) -> Result<Status, Error> {
    Status::parse(word).ok_or_else(|| Error::Corrupt(format!("`{word}` is no status")))
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), EventId::trusted("x".into()));
    vec![by_id(&tenant, &id), listed(&id)]
}
