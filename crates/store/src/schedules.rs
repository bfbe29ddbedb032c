//! When the clock starts which workflow next.
//!
//! Invariant: a start moves the time on in the same set, guarded by the time that was due; so of any number of
//! engines one starts a run for each due time.
//! Not here: computing times.

use crate::sql::{Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Path, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;

/// One workflow's next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Which workflow.
    pub path: Path,
    /// Its version.
    pub version: String,
    /// The definition the times are computed from.
    pub definition_hash: String,
    /// When that definition came into force.
    pub since: Millis,
    /// When it starts next; absent while it waits for a run to end.
    pub next_at: Option<Millis>,
}

static PUT: Sql = Sql::same(
    "INSERT INTO schedules (tenant, namespace, name, version, definition_hash, since, next_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, namespace, name) DO UPDATE SET version = excluded.version, \
     definition_hash = excluded.definition_hash, since = excluded.since, next_at = excluded.next_at \
     WHERE schedules.definition_hash <> excluded.definition_hash OR schedules.version <> excluded.version",
);
static MOVE: Sql = Sql::same(
    "UPDATE schedules SET next_at = $1 WHERE tenant = $2 AND namespace = $3 AND name = $4 AND definition_hash = $5 AND next_at = $6",
);
static AFTER: Sql = Sql::same(
    "UPDATE schedules SET next_at = $1 WHERE tenant = $2 AND namespace = $3 AND name = $4 AND definition_hash = $5",
);
static DELETE: Sql = Sql::same("DELETE FROM schedules WHERE tenant = $1 AND namespace = $2 AND name = $3");
const ALL: &str = "SELECT tenant, namespace, name, version, definition_hash, since, next_at FROM schedules";

pub(crate) const STATEMENTS: &[&Sql] = &[&PUT, &MOVE, &AFTER, &DELETE];

impl WriteSet {
    /// Puts a schedule where there is none, or one of another definition.
    pub fn put_schedule(&mut self, schedule: &ScheduleRecord) {
        let ScheduleRecord { path, version, definition_hash, since, next_at } = schedule;
        let args = [
            path.tenant.as_str().into(),
            path.namespace.as_str().into(),
            path.name.as_str().into(),
            version.as_str().into(),
            definition_hash.as_str().into(),
            (*since).into(),
            (*next_at).into(),
        ];
        self.write(&PUT, args, Expect::Any);
    }

    /// Moves a schedule on from the time that is due. Fails the set when somebody has.
    pub fn move_schedule(&mut self, schedule: &ScheduleRecord, due: Millis, next_at: Option<Millis>) {
        let ScheduleRecord { path, definition_hash, .. } = schedule;
        let args = [
            next_at.into(),
            path.tenant.as_str().into(),
            path.namespace.as_str().into(),
            path.name.as_str().into(),
            definition_hash.as_str().into(),
            due.into(),
        ];
        self.write(&MOVE, args, Expect::One("the schedule has moved on"));
    }

    /// A run of this definition has ended: the next one starts then.
    pub fn schedule_after(&mut self, path: &Path, definition_hash: &str, next_at: Millis) {
        let args = [
            next_at.into(),
            path.tenant.as_str().into(),
            path.namespace.as_str().into(),
            path.name.as_str().into(),
            definition_hash.into(),
        ];
        self.write(&AFTER, args, Expect::Any);
    }

    /// Removes a workflow's schedule.
    pub fn delete_schedule(&mut self, path: &Path) {
        let args = [path.tenant.as_str().into(), path.namespace.as_str().into(), path.name.as_str().into()];
        self.write(&DELETE, args, Expect::Any);
    }
}

impl Store {
    /// Everybody's schedules: for the engine.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        self.rows(Select::new(ALL, [])).await?.into_iter().map(record).collect()
    }

    /// The schedule of one workflow.
    pub async fn schedule(
        &self,
        tenant: &Tenant,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ScheduleRecord>, Error> {
        self.row(one(tenant, namespace, name)).await?.map(record).transpose()
    }
}

fn one(tenant: &Tenant, namespace: &str, name: &str) -> Select {
    let select = Select::new(ALL, []).then_arg("WHERE tenant =", tenant.as_str());
    select.and("namespace =", namespace).and("name =", name)
}

fn record(mut row: Row) -> Result<ScheduleRecord, Error> {
    Ok(ScheduleRecord {
        path: Path { tenant: Tenant::trusted(row.text()?), namespace: row.text()?, name: row.text()? },
        version: row.text()?,
        definition_hash: row.text()?,
        since: row.int()?,
        next_at: row.int_or_null()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![Select::new(ALL, []), one(&Tenant::trusted("x".into()), "x", "x")]
}
