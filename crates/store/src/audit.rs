//! The audit log: who wrote what, when, and what changed by it.
//!
//! Invariant: a row is in the write set of what it tells, and is never changed; only age removes it.
//! Not here: what is told and what is not (the server's `app::audit`).

use crate::maintenance::BITE_ROWS;
use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::AuditId;
use openevent_domain::tenant::Tenant;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;
/// The word that stands for the tenant of what belongs to all tenants.
const INSTANCE: &str = "instance";

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its id; sorts by time.
    pub id: AuditId,
    /// Whose data was written.
    pub tenant: Tenant,
    /// What wrote: `key`, `operator`, `cli`, …
    pub actor_kind: String,
    /// Which of its kind.
    pub actor: String,
    /// What people call it.
    pub actor_name: Option<String>,
    /// What was done, such as `event.update`.
    pub action: String,
    /// What kind of thing it was done to.
    pub target_kind: String,
    /// To which.
    pub target: String,
    /// What it was before, as far as it changed.
    pub before: Option<Json>,
    /// What it is since, as far as it changed.
    pub after: Option<Json>,
    /// The request's id.
    pub request_id: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// When.
    pub created_at: Millis,
}

/// Which rows a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only this action; one that ends in `.` is the beginning of many.
    pub action: Option<String>,
    /// Only what was done to this.
    pub target: Option<String>,
    /// At or after.
    pub from: Option<Millis>,
    /// At or before.
    pub to: Option<Millis>,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    NewestFirst,
    /// The oldest.
    OldestFirst,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After this row of the order.
    After(AuditId),
}

static ADD: Bulk = Bulk::insert(
    "audit",
    &[
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("actor_kind", Kind::Text),
        ("actor", Kind::Text),
        ("actor_name", Kind::Text),
        ("action", Kind::Text),
        ("target_kind", Kind::Text),
        ("target", Kind::Text),
        ("state_before", Kind::Text),
        ("state_after", Kind::Text),
        ("request_id", Kind::Text),
        ("address", Kind::Text),
        ("created_at", Kind::Int),
    ],
    "",
);
static RETIRE: Sql =
    Sql::same("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT $2)");
const COLUMNS: &str = "SELECT id, tenant, actor_kind, actor, actor_name, action, target_kind, target, state_before, \
                       state_after, request_id, address, created_at FROM audit";
const ONE: &str = "SELECT 1 AS one FROM audit";
const OLD: &str = "SELECT id FROM audit WHERE id < $1 ORDER BY id LIMIT 1";

pub(crate) const STATEMENTS: &[&Sql] = &[&RETIRE];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

/// The tenant under which what belongs to the whole instance is told.
pub fn instance() -> Tenant {
    Tenant::trusted(INSTANCE.to_owned())
}

impl WriteSet {
    /// Tells what the set does.
    pub fn add_audit(&mut self, told: &AuditRecord) {
        let values = [
            told.id.as_str().into(),
            told.tenant.as_str().into(),
            told.actor_kind.as_str().into(),
            told.actor.as_str().into(),
            told.actor_name.as_deref().into(),
            told.action.as_str().into(),
            told.target_kind.as_str().into(),
            told.target.as_str().into(),
            told.before.as_ref().map(Json::to_string).into(),
            told.after.as_ref().map(Json::to_string).into(),
            told.request_id.as_deref().into(),
            told.address.as_deref().into(),
            told.created_at.into(),
        ];
        self.row(&ADD, values);
    }
}

impl Store {
    /// One row of a tenant's.
    pub async fn audit(&self, tenant: &Tenant, id: &AuditId) -> Result<Option<AuditRecord>, Error> {
        self.row(by_id(tenant, id)).await?.map(record).transpose()
    }

    /// A page of a tenant's log.
    pub async fn audits(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        order: Order,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, Error> {
        let rows = self.rows(list(tenant, filter, order, place, limit)).await?;
        rows.into_iter().map(record).collect()
    }

    /// How many rows a list has, at most [`COUNT_MAX`].
    pub async fn audits_count(&self, tenant: &Tenant, filter: &Filter) -> Result<i64, Error> {
        self.count(filtered(ONE, tenant, filter), COUNT_MAX).await
    }

    /// Removes one bite of rows written before a time. Answers whether there may be more.
    pub async fn retire_audits(&self, before: Millis) -> Result<bool, Error> {
        let floor = AuditId::floor(before);
        if self.row(Select::new(OLD, [floor.as_str().into()])).await?.is_none() {
            return Ok(false);
        }
        let mut set = WriteSet::new();
        set.write(&RETIRE, [floor.as_str().into(), BITE_ROWS.into()], Expect::Any);
        self.submit(set).await.map(|()| true)
    }
}

fn by_id(tenant: &Tenant, id: &AuditId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("id =", id.as_str())
}

/// Times are told by ids: each begins with the time it was made.
fn filtered(text: &str, tenant: &Tenant, filter: &Filter) -> Select {
    let select = Select::new(text, [])
        .then_arg("WHERE tenant =", tenant.as_str())
        .and_maybe("actor =", filter.actor.as_deref())
        .and_maybe("target =", filter.target.as_deref())
        .and_maybe("id >=", filter.from.map(|at| AuditId::floor(at).as_str().to_owned()))
        .and_maybe("id <", filter.to.map(|at| AuditId::floor(at.saturating_add(1)).as_str().to_owned()));
    match filter.action.as_deref() {
        Some(action) => match action.strip_suffix('.') {
            Some(kind) => select.and("target_kind =", kind),
            None => select.and("action =", action),
        },
        None => select,
    }
}

fn list(tenant: &Tenant, filter: &Filter, order: Order, place: &Place, limit: i64) -> Select {
    let (beyond, way) = match order {
        Order::NewestFirst => ("id <", "DESC"),
        Order::OldestFirst => ("id >", "ASC"),
    };
    let select = filtered(COLUMNS, tenant, filter);
    let (select, offset) = match place {
        Place::Offset(rows) => (select, *rows),
        Place::After(id) => (select.and(beyond, id.as_str()), 0),
    };
    select.then(&format!("ORDER BY id {way}")).then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

fn record(mut row: Row) -> Result<AuditRecord, Error> {
    Ok(AuditRecord {
        id: AuditId::trusted(row.text()?),
        tenant: Tenant::trusted(row.text()?),
        actor_kind: row.text()?,
        actor: row.text()?,
        actor_name: row.text_or_null()?,
        action: row.text()?,
        target_kind: row.text()?,
        target: row.text()?,
        before: row.json_or_null()?,
        after: row.json_or_null()?,
        request_id: row.text_or_null()?,
        address: row.text_or_null()?,
        created_at: row.int()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), AuditId::trusted("x".into()));
    let filter = |action: &str| Filter {
        actor: Some("x".into()),
        action: Some(action.into()),
        target: Some("x".into()),
        from: Some(0),
        to: Some(1),
    };
    let mut selects = vec![by_id(&tenant, &id), Select::new(OLD, ["x".into()])];
    for filter in [Filter::default(), filter("x.y"), filter("x.")] {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            selects.push(list(&tenant, &filter, order, &Place::Offset(0), 1));
            selects.push(list(&tenant, &filter, order, &Place::After(id.clone()), 1));
        }
        selects.push(filtered(ONE, &tenant, &filter));
    }
    selects
}
