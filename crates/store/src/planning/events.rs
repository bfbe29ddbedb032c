//! Planned events.
//!
//! Invariant: the columns that lists filter and sort by are derived from the plan in one place, [`columns`]; an
//! update or a deletion names the version it was decided on.
//! Not here: which transitions there are.

use super::search::Searchable;
use crate::sql::{Bulk, Dialect, Kind, Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, Write, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::EventId;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::LocationType;
use openevent_domain::planning::search::{Query, searchable, sort_key};
use openevent_domain::planning::status::{State, Status};
use openevent_domain::tenant::{Environment, Tenant};
use serde::{Deserialize, Serialize};

/// Whose events a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A tenant's own.
    Members(Tenant),
    /// Everybody's that the public may see.
    Public,
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this type.
    pub event_type: Option<String>,
    /// Only this kind of place.
    pub location_type: Option<LocationType>,
    /// Only public ones, or only others.
    pub is_public: Option<bool>,
    /// Only those that seek vendors, or that do not.
    pub seeking_vendors: Option<bool>,
    /// Only those that seek sponsors, or that do not.
    pub seeking_sponsors: Option<bool>,
    /// Starting at or after.
    pub from: Option<Millis>,
    /// Starting at or before.
    pub to: Option<Millis>,
    /// Only those that have all these words.
    pub search: Option<Query>,
}

/// What a list is sorted by. Ties are broken by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When they were made.
    Creation,
    /// When they start.
    Start,
    /// When they were last changed.
    Update,
    /// Their title, whatever its case and accents.
    Title,
    /// Those with the words in their title first, then by creation. Without a search the same as creation.
    Relevance,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest, or the oldest.
    Ascending,
    /// The greatest, or the newest.
    Descending,
}

/// What a row is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A time.
    Time(Millis),
    /// A text.
    Text(String),
    /// How well it was found, and a time.
    Rank(i64, Millis),
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After this row of the order.
    After(Key, EventId),
}

/// How a list is put together.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Whose.
    pub audience: Audience,
    /// Which.
    pub filter: Filter,
    /// By what.
    pub sort: Sort,
    /// From which end.
    pub direction: Direction,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// Moves with every change of what hangs on it.
    pub touched: i64,
    /// Where it is in the list it was found by.
    pub key: Key,
}

static ADD: Bulk = Bulk::insert(
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
        ("search_rest", Kind::Text),
        ("version", Kind::Int),
        ("updated_at", Kind::Int),
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("owner", Kind::Text),
        ("touched", Kind::Int),
        ("created_at", Kind::Int),
    ],
    "",
);
static CHANGE: Sql = Sql::same(
    "UPDATE events SET plan = $1, status = $2, status_at = $3, status_from = $4, starts_at = $5, event_type = $6, \
     location_type = $7, is_public = $8, seeking_vendors = $9, seeking_sponsors = $10, listed = $11, title_key = $12, \
     search_title = $13, search_rest = $14, version = $15, updated_at = $16 \
     WHERE tenant = $17 AND id = $18 AND version = $19",
);
static DELETE: Sql =
    Sql::same("DELETE FROM events WHERE tenant = $1 AND id = $2 AND version = $3 AND touched = $4");
const COLUMNS: &str =
    "SELECT id, plan, status, status_at, status_from, owner, version, touched, created_at, updated_at,";
const MEANWHILE: &str = "the event was changed meanwhile";

const SEARCHABLE: Searchable = Searchable { table: "events", index: "events_search", first: "search_title" };

pub(crate) const STATEMENTS: &[&Sql] = &[&CHANGE, &DELETE];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

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
    }

    /// An event as it is now, which was at `version` when that was decided.
    pub fn change_event(&mut self, tenant: &Tenant, event: &Event, version: i64) {
        let mut args = columns(tenant, event);
        args.extend([tenant.as_str().into(), event.id.as_str().into(), version.into()]);
        self.writes.push(Write { sql: &CHANGE, args, expect: Expect::One(MEANWHILE) });
    }

    /// Removes an event as it was read.
    pub fn delete_event(&mut self, tenant: &Tenant, record: &EventRecord) {
        let event = &record.event;
        let args =
            [tenant.as_str().into(), event.id.as_str().into(), event.version.into(), record.touched.into()];
        self.write(&DELETE, args, Expect::One(MEANWHILE));
    }
}

impl Store {
    /// One event of a tenant.
    pub async fn event(&self, tenant: &Tenant, id: &EventId) -> Result<Option<EventRecord>, Error> {
        let found = self.row(by_id(tenant, id)).await?;
        found.map(|row| record(row, Sort::Creation)).transpose()
    }

    /// One event that the public may see, whosever it is.
    pub async fn public_event(&self, id: &EventId) -> Result<Option<EventRecord>, Error> {
        self.row(listed(id)).await?.map(|row| record(row, Sort::Creation)).transpose()
    }

    /// A page of a list.
    pub async fn events(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<EventRecord>, Error> {
        let rows = self.rows(list(listing, place, limit, self.dialect())).await?;
        rows.into_iter().map(|row| record(row, listing.sort)).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn events_count(&self, listing: &Listing) -> Result<i64, Error> {
        let select = Select::new("SELECT 1 AS one", []);
        self.count(filtered(select, listing, self.dialect()), COUNT_MAX).await
    }
}

/// What is derived from an event, in the order of [`CHANGE`], which is also how a row of [`ADD`] begins.
fn columns(tenant: &Tenant, event: &Event) -> Vec<Value> {
    let (plan, state) = (&event.plan, event.state);
    let status = state.status();
    let is_open = matches!(status, Status::Planning | Status::Active);
    let listed = plan.is_public && is_open && tenant.environment() == Environment::Live;
    // Only what no switch hides may be found by the public, and one index serves everybody.
    let rest = [plan.description.as_deref(), plan.event_type.as_deref()];
    let rest: Vec<_> = rest.into_iter().flatten().map(searchable).collect();
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
        searchable(&plan.title).into(),
        rest.join(" ").into(),
        event.version.into(),
        event.updated_at.into(),
    ]
}

fn by_id(tenant: &Tenant, id: &EventId) -> Select {
    Select::new(COLUMNS, [])
        .then("0 FROM events")
        .then_arg("WHERE tenant =", tenant.as_str())
        .and("id =", id.as_str())
}

fn listed(id: &EventId) -> Select {
    Select::new(COLUMNS, []).then("0 FROM events WHERE listed = 1").and("id =", id.as_str())
}

fn filtered(select: Select, listing: &Listing, dialect: Dialect) -> Select {
    let select = select.then("FROM events");
    let select = match &listing.audience {
        Audience::Members(tenant) => select.then_arg("WHERE tenant =", tenant.as_str()),
        Audience::Public => select.then("WHERE listed = 1"),
    };
    let filter = &listing.filter;
    let select = select
        .and_maybe("status =", filter.status.map(Status::as_str))
        .and_maybe("event_type =", filter.event_type.as_deref())
        .and_maybe("location_type =", filter.location_type.map(LocationType::as_str))
        .and_maybe("is_public =", filter.is_public)
        .and_maybe("seeking_vendors =", filter.seeking_vendors)
        .and_maybe("seeking_sponsors =", filter.seeking_sponsors)
        .and_maybe("starts_at >=", filter.from)
        .and_maybe("starts_at <=", filter.to);
    match &filter.search {
        Some(query) => SEARCHABLE.only(select, query, dialect),
        None => select,
    }
}

/// The rank of a row; 0 when nobody asks for it.
fn ranked(select: Select, listing: &Listing, dialect: Dialect) -> Select {
    match (&listing.filter.search, listing.sort) {
        (Some(query), Sort::Relevance) => SEARCHABLE.rank(select, query, dialect),
        _ => select.then("CAST(0 AS BIGINT)"),
    }
}

fn list(listing: &Listing, place: &Place, limit: i64, dialect: Dialect) -> Select {
    let select = ranked(Select::new(COLUMNS, []), listing, dialect).then("AS rank");
    let mut select = filtered(select, listing, dialect);
    let (beyond, way) = match listing.direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    };
    let column = match listing.sort {
        Sort::Creation | Sort::Relevance => "created_at",
        Sort::Start => "starts_at",
        Sort::Update => "updated_at",
        Sort::Title => "title_key",
    };
    let offset = match place {
        Place::Offset(rows) => *rows,
        Place::After(Key::Rank(rank, at), id) => {
            select = ranked(select.then("AND ("), listing, dialect)
                .then_arg(&format!(", {column}, id) {beyond} ("), *rank)
                .then_arg(",", *at)
                .then_arg(",", id.as_str())
                .then(")");
            0
        }
        Place::After(key, id) => {
            let key: Value = match key {
                Key::Text(text) => text.as_str().into(),
                Key::Time(at) | Key::Rank(_, at) => (*at).into(),
            };
            select = select
                .then_arg(&format!("AND ({column}, id) {beyond} ("), key)
                .then_arg(",", id.as_str())
                .then(")");
            0
        }
    };
    let rank = if listing.sort == Sort::Relevance { format!("rank {way}, ") } else { String::new() };
    select
        .then(&format!("ORDER BY {rank}{column} {way}, id {way}"))
        .then_arg("LIMIT", limit)
        .then_arg("OFFSET", offset)
}

fn record(mut row: Row, sort: Sort) -> Result<EventRecord, Error> {
    let id = EventId::trusted(row.text()?);
    let plan = row.json()?;
    let status = status(&row.text()?)?;
    let at = row.int_or_null()?;
    let from = row.text_or_null()?.map(|word| self::status(&word)).transpose()?;
    let event = Event {
        id,
        plan,
        state: State::trusted(status, at, from),
        owner: row.text()?,
        version: row.int()?,
        created_at: 0,
        updated_at: 0,
    };
    let touched = row.int()?;
    let event = Event { created_at: row.int()?, updated_at: row.int()?, ..event };
    let rank = row.int()?;
    let key = match sort {
        Sort::Creation => Key::Time(event.created_at),
        Sort::Start => Key::Time(event.plan.start_at),
        Sort::Update => Key::Time(event.updated_at),
        Sort::Title => Key::Text(sort_key(&event.plan.title)),
        Sort::Relevance => Key::Rank(rank, event.created_at),
    };
    Ok(EventRecord { event, touched, key })
}

fn status(word: &str) -> Result<Status, Error> {
    Status::parse(word).ok_or_else(|| Error::Corrupt(format!("`{word}` is no status")))
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), EventId::trusted("x".into()));
    let all = Filter {
        status: Some(Status::Draft),
        event_type: Some("x".into()),
        location_type: Some(LocationType::Hybrid),
        is_public: Some(true),
        seeking_vendors: Some(true),
        seeking_sponsors: Some(true),
        from: Some(0),
        to: Some(1),
        search: Query::parse("100% vegan"),
    };
    let listing = |filter: &Filter, audience: &Audience, sort| Listing {
        audience: audience.clone(),
        filter: filter.clone(),
        sort,
        direction: Direction::Descending,
    };
    let mut selects = vec![by_id(&tenant, &id), listed(&id)];
    for audience in [Audience::Members(tenant), Audience::Public] {
        for filter in [&Filter::default(), &all] {
            for (sort, key) in [
                (Sort::Creation, Key::Time(0)),
                (Sort::Start, Key::Time(0)),
                (Sort::Update, Key::Time(0)),
                (Sort::Title, Key::Text("x".into())),
                (Sort::Relevance, Key::Rank(0, 0)),
            ] {
                let listing = listing(filter, &audience, sort);
                selects.push(list(&listing, &Place::Offset(0), 1, dialect));
                selects.push(list(&listing, &Place::After(key, id.clone()), 1, dialect));
                selects.push(filtered(Select::new("SELECT 1 AS one", []), &listing, dialect));
            }
        }
    }
    selects
}
