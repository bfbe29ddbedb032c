//! Keeping a database well: retention, the engine's cursor, backup, a doctor's questions.
//!
//! Invariant: deletes go in bounded bites, so that ingest never waits long behind one.
//! Not here: when to do any of it.

use crate::sql::{Dialect, Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Location, Store, migrate};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::webhook::DeliveryId;
use std::path::Path;

/// Rows one bite removes.
pub(crate) const BITE_ROWS: i64 = 500;

static DELETE_SIGNALS: Sql =
    Sql::same("DELETE FROM signals WHERE id IN (SELECT id FROM signals WHERE id < $1 ORDER BY id LIMIT $2)");
static DELETE_JOURNALS: Sql = Sql::same(
    "DELETE FROM journal WHERE run_id IN (SELECT id FROM runs WHERE id < $1 AND ended_at < $2 ORDER BY id LIMIT $3)",
);
static DELETE_SNAPSHOTS: Sql = Sql::same(
    "DELETE FROM snapshots WHERE run_id IN (SELECT id FROM runs WHERE id < $1 AND ended_at < $2 ORDER BY id LIMIT $3)",
);
static DELETE_GATHERED: Sql = Sql::same("DELETE FROM gathered_events WHERE received_at < $1");
static DELETE_RUNS: Sql = Sql::same(
    "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE id < $1 AND ended_at < $2 ORDER BY id LIMIT $3)",
);
static DELETE_ATTEMPTS: Sql = Sql::same(
    "DELETE FROM delivery_attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE id < $1 ORDER BY id LIMIT $2)",
);
static DELETE_DELIVERIES: Sql = Sql::same(
    "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE id < $1 ORDER BY id LIMIT $2)",
);
static PUT_CURSOR: Sql = Sql::same(
    "INSERT INTO cursors (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
);
const OLD_SIGNAL: &str = "SELECT id FROM signals WHERE id < $1 ORDER BY id LIMIT 1";
const OLD_RUN: &str = "SELECT id FROM runs WHERE id < $1 AND ended_at < $2 ORDER BY id LIMIT 1";
const OLD_DELIVERY: &str = "SELECT id FROM deliveries WHERE id < $1 ORDER BY id LIMIT 1";
const CURSOR: &str = "SELECT seq FROM cursors WHERE name = $1";
const APPLIED: &str = "SELECT name FROM schema_migrations ORDER BY name";

pub(crate) const STATEMENTS: &[&Sql] = &[
    &DELETE_SIGNALS,
    &DELETE_GATHERED,
    &DELETE_JOURNALS,
    &DELETE_SNAPSHOTS,
    &DELETE_RUNS,
    &DELETE_ATTEMPTS,
    &DELETE_DELIVERIES,
    &PUT_CURSOR,
];

/// What a look at the database found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doctor {
    /// The database's own version line.
    pub version: String,
    /// Migrations it has.
    pub applied: Vec<String>,
    /// Migrations it lacks.
    pub missing: Vec<&'static str>,
    /// Damage the database reports of itself; empty is well.
    pub damage: Vec<String>,
}

impl WriteSet {
    /// Notes how far a reader of the log has come.
    pub fn put_cursor(&mut self, name: &str, seq: i64) {
        self.write(&PUT_CURSOR, [name.into(), seq.into()], Expect::Any);
    }
}

impl Store {
    /// How far a reader of the log had come.
    pub async fn cursor(&self, name: &str) -> Result<Option<i64>, Error> {
        self.row(Select::new(CURSOR, [name.into()])).await?.map(|mut row| row.int()).transpose()
    }

    /// Removes one bite of signals received before a time, and what was kept of any of that age. Answers whether there may be more.
    pub async fn retire_signals(&self, before: Millis) -> Result<bool, Error> {
        let floor = SignalId::floor(before);
        if self.row(Select::new(OLD_SIGNAL, [floor.as_str().into()])).await?.is_none() {
            return Ok(false);
        }
        let mut set = WriteSet::new();
        set.write(&DELETE_SIGNALS, [floor.as_str().into(), BITE_ROWS.into()], Expect::Any);
        set.write(&DELETE_GATHERED, [before.into()], Expect::Any);
        self.submit(set).await.map(|()| true)
    }

    /// Removes one bite of deliveries made before a time, with their attempts. Answers whether there may be more.
    pub async fn retire_deliveries(&self, before: Millis) -> Result<bool, Error> {
        let floor = DeliveryId::floor(before);
        if self.row(Select::new(OLD_DELIVERY, [floor.as_str().into()])).await?.is_none() {
            return Ok(false);
        }
        let mut set = WriteSet::new();
        set.write(&DELETE_ATTEMPTS, [floor.as_str().into(), BITE_ROWS.into()], Expect::Any);
        set.write(&DELETE_DELIVERIES, [floor.as_str().into(), BITE_ROWS.into()], Expect::Any);
        self.submit(set).await.map(|()| true)
    }

    /// Removes one bite of runs that ended before a time. Answers whether there may be more.
    pub async fn retire_runs(&self, before: Millis) -> Result<bool, Error> {
        let floor = RunId::floor(before);
        if self.row(Select::new(OLD_RUN, [floor.as_str().into(), before.into()])).await?.is_none() {
            return Ok(false);
        }
        let mut set = WriteSet::new();
        let args = || [floor.as_str().into(), before.into(), BITE_ROWS.into()];
        set.write(&DELETE_JOURNALS, args(), Expect::Any);
        set.write(&DELETE_SNAPSHOTS, args(), Expect::Any);
        set.write(&DELETE_RUNS, args(), Expect::Any);
        self.submit(set).await.map(|()| true)
    }

    /// Looks the database over.
    pub async fn doctor(&self) -> Result<Doctor, Error> {
        let version = match self.dialect() {
            Dialect::Sqlite => "SELECT 'SQLite ' || sqlite_version()",
            Dialect::Postgres => "SELECT version()",
        };
        let version = self.texts(version).await?.pop().unwrap_or_default();
        let applied = self.texts(APPLIED).await?;
        let missing =
            migrate::names().into_iter().filter(|name| !applied.iter().any(|seen| seen == name)).collect();
        let damage = match self.dialect() {
            Dialect::Sqlite => {
                self.texts("PRAGMA quick_check(20)").await?.into_iter().filter(|line| line != "ok").collect()
            }
            Dialect::Postgres => Vec::new(),
        };
        Ok(Doctor { version, applied, missing, damage })
    }

    async fn texts(&self, text: &str) -> Result<Vec<String>, Error> {
        self.rows(Select::new(text, [])).await?.into_iter().map(|mut row| row.text()).collect()
    }
}

/// Copies a SQLite database to a new file while it is in use: one read transaction, compacted on the way.
pub fn backup_sqlite(from: &Location, to: &Path) -> Result<(), Error> {
    let Location::File(from) = from else {
        return Err(Error::Refused(
            "PostgreSQL is backed up with its own tools (pg_dump, or a base backup)".into(),
        ));
    };
    if !from.exists() {
        return Err(Error::away("there is no database file yet"));
    }
    let source = crate::sqlite::connect(from)?;
    let target = to.to_str().ok_or_else(|| Error::Refused("the file name is not UTF-8".into()))?;
    source.execute("VACUUM INTO $1", [target]).map_err(crate::sqlite::error)?;
    let copy = std::fs::File::open(to).and_then(|file| file.sync_all());
    copy.map_err(|cause| Error::Unavailable(cause.into()))
}

pub(crate) fn selects() -> Vec<Select> {
    vec![
        Select::new(OLD_SIGNAL, ["x".into()]),
        Select::new(OLD_DELIVERY, ["x".into()]),
        Select::new(OLD_RUN, ["x".into(), 0.into()]),
        Select::new(CURSOR, ["x".into()]),
        Select::new(APPLIED, []),
    ]
}
