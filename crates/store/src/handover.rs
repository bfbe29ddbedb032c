//! Runs that are driven elsewhere: which were handed over, what they listen to, how far signals were offered.
//!
//! Invariant: a run is handed over once for each time it sets out; what it listens to stays until whoever offers it
//! signals has seen that it is over.
//! Not here: the runs themselves (`runs`), who drives them.

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;

/// What an operation of a run listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenRecord {
    /// Whose operation.
    pub run: RunId,
    /// Which.
    pub op: u64,
    /// Whose run.
    pub tenant: Tenant,
    /// Types of events; `None` for any.
    pub names: Vec<Option<String>>,
    /// Signals received before this are not offered.
    pub since: Millis,
    /// What the run is called where it is driven.
    pub execution: String,
    /// Whether lifecycle events are among the types.
    pub hears_lifecycle: bool,
    /// Whether anybody offers it signals.
    pub state: ListenState,
}

/// How far a listen has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenState {
    /// Nobody offers it anything yet.
    New,
    /// Somebody does.
    Heard,
    /// It is over.
    Over,
}

static HAND_OVER: Bulk = Bulk::update(
    "runs",
    &[("id", Kind::Text), ("handed_at", Kind::Int)],
    "id",
    "handed_at = given.handed_at",
    "AND runs.handed_at IS NULL",
);
static ADD: Bulk = Bulk::insert(
    "listens",
    &[
        ("run_id", Kind::Text),
        ("op", Kind::Int),
        ("tenant", Kind::Text),
        ("names", Kind::Text),
        ("since", Kind::Int),
        ("execution", Kind::Text),
        ("hears_lifecycle", Kind::Int),
    ],
    "ON CONFLICT (run_id, op) DO UPDATE SET state = 0, execution = excluded.execution",
);
static HEAR: Sql = Sql::same("UPDATE listens SET state = 1 WHERE run_id = $1 AND op = $2 AND state = 0");
static OVER: Sql = Sql::same("UPDATE listens SET state = 2 WHERE run_id = $1 AND op = $2");
static ALL_OVER: Sql = Sql::same("UPDATE listens SET state = 2 WHERE run_id = $1");
static FORGET: Sql = Sql::same("DELETE FROM listens WHERE run_id = $1 AND op = $2 AND state = 2");
static PROGRESS: Sql = Sql::same(
    "INSERT INTO progress (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = excluded.at \
     WHERE progress.at < excluded.at",
);
static DISMISS: Sql = Sql::same(
    "UPDATE runs SET status = 'cancelled', ended_at = $1 WHERE id = $2 AND ended_at IS NULL AND handed_at IS NULL",
);
const COLUMNS: &str =
    "SELECT run_id, op, tenant, names, since, execution, hears_lifecycle, state FROM listens";
const READ_PROGRESS: &str = "SELECT at FROM progress WHERE name = $1";

pub(crate) const STATEMENTS: &[&Sql] = &[&HEAR, &OVER, &ALL_OVER, &FORGET, &PROGRESS, &DISMISS];
pub(crate) const BULKS: &[&Bulk] = &[&HAND_OVER, &ADD];

impl WriteSet {
    /// Notes that a run is driven elsewhere from now on.
    pub fn hand_over(&mut self, run: &RunId, at: Millis) {
        self.row(&HAND_OVER, [run.as_str().into(), at.into()]);
    }

    /// Ends a run that nobody drives yet. Fails the set when it was handed over or has ended.
    pub fn dismiss(&mut self, run: &RunId, at: Millis) {
        self.write(
            &DISMISS,
            [at.into(), run.as_str().into()],
            Expect::One("the run is under way or has ended"),
        );
        self.announce_moved();
    }

    /// Notes what an operation listens to, and a notice of it. Repeating it changes nothing but begins anew.
    pub fn listen(&mut self, listen: &ListenRecord) {
        let names = serde_json::json!(listen.names).to_string();
        self.row(
            &ADD,
            [
                listen.run.as_str().into(),
                (listen.op as i64).into(),
                listen.tenant.as_str().into(),
                names.into(),
                listen.since.into(),
                listen.execution.as_str().into(),
                listen.hears_lifecycle.into(),
            ],
        );
        self.announce_moved();
    }

    /// Notes that signals are offered to it from now on.
    pub fn hear(&mut self, run: &RunId, op: u64) {
        self.write(&HEAR, [run.as_str().into(), (op as i64).into()], Expect::Any);
    }

    /// Notes that an operation listens no longer.
    pub fn end_listen(&mut self, run: &RunId, op: u64) {
        self.write(&OVER, [run.as_str().into(), (op as i64).into()], Expect::Any);
        self.announce_moved();
    }

    /// Notes that a run listens to nothing any more, and a notice that it ended.
    pub fn end_listens(&mut self, run: &RunId) {
        self.write(&ALL_OVER, [run.as_str().into()], Expect::Any);
        self.announce_moved();
    }

    /// Forgets a listen that is over.
    pub fn forget_listen(&mut self, run: &RunId, op: u64) {
        self.write(&FORGET, [run.as_str().into(), (op as i64).into()], Expect::Any);
    }

    /// Notes how far something has come; it never goes back.
    pub fn note_progress(&mut self, name: &str, at: Millis) {
        self.write(&PROGRESS, [name.into(), at.into()], Expect::Any);
    }
}

impl Store {
    /// What runs that are driven elsewhere listen to, by run and operation, after one.
    pub async fn listens(
        &self,
        after: Option<(&RunId, u64)>,
        limit: i64,
    ) -> Result<Vec<ListenRecord>, Error> {
        self.rows(all(after, limit)).await?.into_iter().map(record).collect()
    }

    /// Those that began or ended, and nobody has seen it yet.
    pub async fn listens_news(&self, limit: i64) -> Result<Vec<ListenRecord>, Error> {
        self.rows(news(limit)).await?.into_iter().map(record).collect()
    }

    /// Those that wait for lifecycle events.
    pub async fn listens_for_lifecycle(&self) -> Result<Vec<ListenRecord>, Error> {
        self.rows(for_lifecycle()).await?.into_iter().map(record).collect()
    }

    /// How far something has come.
    pub async fn progress(&self, name: &str) -> Result<Option<Millis>, Error> {
        self.row(Select::new(READ_PROGRESS, [name.into()])).await?.map(|mut row| row.int()).transpose()
    }

    /// Which of these runs have ended.
    pub async fn ended_among(&self, runs: &[&str]) -> Result<Vec<RunId>, Error> {
        let select = Select::new("SELECT id FROM runs WHERE ended_at IS NOT NULL", []);
        let rows = self.rows(select.and_among("id", runs, self.dialect())).await?;
        rows.into_iter().map(|mut row| row.text().map(RunId::trusted)).collect()
    }

    /// Runs that were turned away although a run that has not ended waits for them.
    pub async fn turned_away_children(&self) -> Result<Vec<crate::runs::RunRecord>, Error> {
        self.rows(crate::runs::turned_away()).await?.into_iter().map(crate::runs::record).collect()
    }

    /// Runs that have not ended and were not handed over, by id, after one.
    pub async fn unhanded_runs(
        &self,
        after: Option<&RunId>,
        limit: i64,
    ) -> Result<Vec<crate::runs::RunRecord>, Error> {
        let rows = self.rows(crate::runs::unhanded(after, limit)).await?;
        rows.into_iter().map(crate::runs::record).collect()
    }
}

fn all(after: Option<(&RunId, u64)>, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []);
    let select = match after {
        None => select,
        Some((run, op)) => {
            select.then_arg("WHERE (run_id, op) > (", run.as_str()).then_arg(",", op as i64).then(")")
        }
    };
    select.then_arg("ORDER BY run_id, op LIMIT", limit)
}

fn news(limit: i64) -> Select {
    Select::new(COLUMNS, []).then("WHERE state <> 1").then_arg("ORDER BY run_id, op LIMIT", limit)
}

fn for_lifecycle() -> Select {
    Select::new(COLUMNS, []).then("WHERE hears_lifecycle = 1 AND state <> 2 ORDER BY tenant, run_id, op")
}

fn record(mut row: Row) -> Result<ListenRecord, Error> {
    Ok(ListenRecord {
        run: RunId::trusted(row.text()?),
        op: row.int()? as u64,
        tenant: Tenant::trusted(row.text()?),
        names: serde_json::from_value(row.json()?).unwrap_or_default(),
        since: row.int()?,
        execution: row.text()?,
        hears_lifecycle: row.int()? == 1,
        state: match row.int()? {
            0 => ListenState::New,
            1 => ListenState::Heard,
            _ => ListenState::Over,
        },
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let run = RunId::trusted("x".into());
    vec![
        all(Some((&run, 1)), 1),
        news(1),
        for_lifecycle(),
        Select::new(READ_PROGRESS, ["x".into()]),
        Select::new("SELECT id FROM runs WHERE ended_at IS NOT NULL", []).and("id =", "x"),
        crate::runs::unhanded(Some(&run), 1),
        crate::runs::turned_away(),
    ]
}
