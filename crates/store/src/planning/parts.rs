//! What hangs on an event: tasks, budget items, relations, applications.
//!
//! Invariant: a part is written together with a touch of its event, so a part never outlives its event, and who
//! decides on what hangs on an event can see to it that nothing of it changed meanwhile.
//! Not here: what a part says; its body is JSON to us.

use crate::sql::{Bulk, Dialect, Kind as Column, Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::EventId;
use openevent_domain::tenant::Tenant;

/// The name of the table, as [`Error::Exists`] gives it when there is a part with this party already.
pub const TABLE: &str = "event_parts";
/// Ids that are looked for at one time.
const IDS_MAX: i64 = 10_000;

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A task.
    Task,
    /// An item of the budget.
    Budget,
    /// A relation to a vendor.
    Vendor,
    /// A relation to a sponsor.
    Sponsor,
    /// Somebody's application.
    Application,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Budget => "budget",
            Self::Vendor => "vendor",
            Self::Sponsor => "sponsor",
            Self::Application => "application",
        }
    }
}

/// A stored part.
#[derive(Clone, Debug, PartialEq)]
pub struct PartRecord {
    /// Its id.
    pub id: String,
    /// What it says.
    pub body: serde_json::Value,
    /// The word lists filter by.
    pub status: String,
    /// Another word lists filter by.
    pub facet: Option<String>,
    /// Whom it concerns, where there may be one part for each.
    pub party: Option<String>,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// Where a part hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Whose.
    pub tenant: Tenant,
    /// On which event.
    pub event: EventId,
    /// What.
    pub kind: Kind,
}

/// Which parts a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<String>,
    /// Only this facet.
    pub facet: Option<String>,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After this part.
    After(String),
}

static ADD: Bulk = Bulk::insert(
    TABLE,
    &[
        ("id", Column::Text),
        ("tenant", Column::Text),
        ("event_id", Column::Text),
        ("kind", Column::Text),
        ("status", Column::Text),
        ("facet", Column::Text),
        ("party", Column::Text),
        ("body", Column::Text),
        ("version", Column::Int),
        ("created_at", Column::Int),
        ("updated_at", Column::Int),
    ],
    "",
);
static CHANGE: Sql = Sql::same(
    "UPDATE event_parts SET status = $1, facet = $2, party = $3, body = $4, version = $5, updated_at = $6 \
     WHERE tenant = $7 AND event_id = $8 AND kind = $9 AND id = $10 AND version = $11",
);
static DELETE: Sql = Sql::same(
    "DELETE FROM event_parts WHERE tenant = $1 AND event_id = $2 AND kind = $3 AND id = $4 AND version = $5",
);
static DELETE_ALL: Sql = Sql::same("DELETE FROM event_parts WHERE tenant = $1 AND event_id = $2");
static TOUCH: Sql = Sql::same("UPDATE events SET touched = touched + 1 WHERE tenant = $1 AND id = $2");
static TOUCH_IF: Sql =
    Sql::same("UPDATE events SET touched = touched + 1 WHERE tenant = $1 AND id = $2 AND touched = $3");
const COLUMNS: &str = "SELECT id, body, status, facet, party, version, created_at, updated_at FROM event_parts WHERE tenant = $1 \
     AND event_id = $2 AND kind = $3";
const ONE: &str = "SELECT 1 AS one FROM event_parts WHERE tenant = $1 AND event_id = $2 AND kind = $3";

pub(crate) const STATEMENTS: &[&Sql] = &[&CHANGE, &DELETE, &DELETE_ALL, &TOUCH, &TOUCH_IF];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

const MEANWHILE: &str = "what hangs on the event was changed meanwhile";

/// What a change of a part was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// On nothing but that the event is there.
    EventAlone,
    /// On everything that hung on the event when it was touched for so many times.
    Touched(i64),
}

impl WriteSet {
    /// Notes that something of an event changes. Fails the set with `Missed` when the basis is gone.
    pub fn touch_event(&mut self, tenant: &Tenant, event: &EventId, basis: Basis) {
        let (tenant, event) = (tenant.as_str().into(), event.as_str().into());
        match basis {
            Basis::EventAlone => self.write(&TOUCH, [tenant, event], Expect::One("the event is gone")),
            Basis::Touched(times) => {
                self.write(&TOUCH_IF, [tenant, event, times.into()], Expect::One(MEANWHILE));
            }
        }
    }

    /// A new part. Fails the set with `Exists` when there is one with its party already.
    pub fn add_part(&mut self, branch: &Branch, part: &PartRecord) {
        let values = [
            part.id.as_str().into(),
            branch.tenant.as_str().into(),
            branch.event.as_str().into(),
            branch.kind.as_str().into(),
            part.status.as_str().into(),
            part.facet.as_deref().into(),
            part.party.as_deref().into(),
            (&part.body).into(),
            part.version.into(),
            part.created_at.into(),
            part.updated_at.into(),
        ];
        self.row(&ADD, values);
    }

    /// A part as it is now, which was at `version` when that was decided.
    pub fn change_part(&mut self, branch: &Branch, part: &PartRecord, version: i64) {
        let args = [
            part.status.as_str().into(),
            part.facet.as_deref().into(),
            part.party.as_deref().into(),
            (&part.body).into(),
            part.version.into(),
            part.updated_at.into(),
            branch.tenant.as_str().into(),
            branch.event.as_str().into(),
            branch.kind.as_str().into(),
            part.id.as_str().into(),
            version.into(),
        ];
        self.write(&CHANGE, args, Expect::One(MEANWHILE));
    }

    /// Removes a part as it was read.
    pub fn delete_part(&mut self, branch: &Branch, id: &str, version: i64) {
        let args = [
            branch.tenant.as_str().into(),
            branch.event.as_str().into(),
            branch.kind.as_str().into(),
            id.into(),
            version.into(),
        ];
        self.write(&DELETE, args, Expect::One(MEANWHILE));
    }

    /// Removes all that hangs on an event.
    pub fn delete_parts(&mut self, tenant: &Tenant, event: &EventId) {
        self.write(&DELETE_ALL, [tenant.as_str().into(), event.as_str().into()], Expect::Any);
    }
}

impl Store {
    /// One part of an event.
    pub async fn part(&self, branch: &Branch, id: &str) -> Result<Option<PartRecord>, Error> {
        self.row(of(COLUMNS, branch).and("id =", id)).await?.map(record).transpose()
    }

    /// The part of an event that concerns somebody.
    pub async fn part_of(&self, branch: &Branch, party: &str) -> Result<Option<PartRecord>, Error> {
        self.row(of(COLUMNS, branch).and("party =", party)).await?.map(record).transpose()
    }

    /// A page of an event's parts, newest first.
    pub async fn parts(
        &self,
        branch: &Branch,
        filter: &Filter,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<PartRecord>, Error> {
        self.rows(list(branch, filter, place, limit)).await?.into_iter().map(record).collect()
    }

    /// Those parts of an event that have one of these ids.
    pub async fn parts_by_ids(&self, branch: &Branch, ids: &[&str]) -> Result<Vec<PartRecord>, Error> {
        let select = of(COLUMNS, branch).and_among("id", ids, self.dialect()).then_arg("LIMIT", IDS_MAX);
        self.rows(select).await?.into_iter().map(record).collect()
    }

    /// How many a list has, at most `max`.
    pub async fn parts_count(&self, branch: &Branch, filter: &Filter, max: i64) -> Result<i64, Error> {
        self.count(filtered(of(ONE, branch), filter), max).await
    }
}

fn of(text: &str, branch: &Branch) -> Select {
    let Branch { tenant, event, kind } = branch;
    Select::new(text, [tenant.as_str().into(), event.as_str().into(), kind.as_str().into()])
}

fn filtered(select: Select, filter: &Filter) -> Select {
    select.and_maybe("status =", filter.status.as_deref()).and_maybe("facet =", filter.facet.as_deref())
}

fn list(branch: &Branch, filter: &Filter, place: &Place, limit: i64) -> Select {
    let select = filtered(of(COLUMNS, branch), filter);
    let (select, offset) = match place {
        Place::Offset(rows) => (select, *rows),
        Place::After(id) => (select.and("id <", id.as_str()), 0),
    };
    select.then("ORDER BY id DESC").then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

fn record(mut row: Row) -> Result<PartRecord, Error> {
    Ok(PartRecord {
        id: row.text()?,
        body: row.json()?,
        status: row.text()?,
        facet: row.text_or_null()?,
        party: row.text_or_null()?,
        version: row.int()?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let branch =
        Branch { tenant: Tenant::trusted("x".into()), event: EventId::trusted("x".into()), kind: Kind::Task };
    let filter = Filter { status: Some("x".into()), facet: Some("x".into()) };
    vec![
        of(COLUMNS, &branch).and("id =", "x"),
        of(COLUMNS, &branch).and("party =", "x"),
        of(COLUMNS, &branch).and_among("id", &["x"], dialect).then_arg("LIMIT", 1),
        list(&branch, &filter, &Place::After("x".into()), 1),
        list(&branch, &Filter::default(), &Place::Offset(0), 1),
        filtered(of(ONE, &branch), &filter),
    ]
}
