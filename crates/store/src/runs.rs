//! Runs and their journals.
//!
//! Invariant: a journal entry's place is its key, so two drivers can never both write one; a run that
//! has ended is not changed again.
//! Not here: what an input means; it is JSON text to us.

use crate::notice::{NewRun, Parent};
use crate::snapshots::PLACES_KEPT;
use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::tenant::Tenant;
use std::sync::Arc;

/// A stored run, without its journal.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub tenant: Tenant,
    /// `document.namespace` of its workflow.
    pub namespace: String,
    /// `document.name`.
    pub name: String,
    /// `document.version`.
    pub version: String,
    /// The definition it keeps.
    pub definition_hash: String,
    /// The version of the interpreter's behaviour it keeps.
    pub semantics: i64,
    /// The signal that started it.
    pub event_id: Option<SignalId>,
    /// Whether `input` is the array of CloudEvents of a trigger.
    pub by_events: bool,
    /// Its raw input.
    pub input: serde_json::Value,
    /// The DSL's phase.
    pub status: String,
    /// What it answered.
    pub output: Option<serde_json::Value>,
    /// Why it faulted.
    pub error: Option<serde_json::Value>,
    /// When it was started.
    pub started_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// When a gate let it begin; absent where there is none, and while it waits.
    pub begun_at: Option<Millis>,
    /// The run that started it.
    pub parent: Option<Parent>,
    /// How often it was let go on after it had faulted.
    pub retries: i64,
    /// When it was handed over to whoever drives it elsewhere.
    pub handed_at: Option<Millis>,
}

impl RunRecord {
    /// The time its interpreter began at.
    pub fn first_at(&self) -> Millis {
        self.begun_at.unwrap_or(self.started_at)
    }
}

/// One entry of a run's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Whose it is.
    pub run_id: RunId,
    /// Its place, from 1.
    pub seq: i64,
    /// When it was taken in.
    pub at: Millis,
    /// The input as JSON text.
    pub input: String,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// `completed`, `faulted` or `cancelled`.
    pub status: &'a str,
    /// What it answered.
    pub output: Option<&'a serde_json::Value>,
    /// Why it faulted.
    pub error: Option<&'a serde_json::Value>,
    /// When.
    pub at: Millis,
}

/// Which runs a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this phase.
    pub status: Option<String>,
    /// Only this workflow namespace.
    pub namespace: Option<String>,
    /// Only this workflow name.
    pub name: Option<String>,
    /// Only those started by this signal.
    pub event_id: Option<SignalId>,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After this run.
    After(RunId),
}

static ADD: Bulk = Bulk::insert(
    "runs",
    &[
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("namespace", Kind::Text),
        ("name", Kind::Text),
        ("version", Kind::Text),
        ("definition_hash", Kind::Text),
        ("semantics", Kind::Int),
        ("event_id", Kind::Text),
        ("by_events", Kind::Int),
        ("input", Kind::Text),
        ("status", Kind::Text),
        ("started_at", Kind::Int),
    ],
    "",
);
/// As [`ADD`], for the runs that runs start: the columns the others leave at their defaults.
static ADD_CHILD: Bulk = Bulk::insert(
    "runs",
    &[
        ("id", Kind::Text),
        ("tenant", Kind::Text),
        ("namespace", Kind::Text),
        ("name", Kind::Text),
        ("version", Kind::Text),
        ("definition_hash", Kind::Text),
        ("semantics", Kind::Int),
        ("event_id", Kind::Text),
        ("by_events", Kind::Int),
        ("input", Kind::Text),
        ("status", Kind::Text),
        ("started_at", Kind::Int),
        ("parent_run", Kind::Text),
        ("parent_op", Kind::Int),
        ("depth", Kind::Int),
        ("quiet", Kind::Int),
    ],
    "",
);
static APPEND: Bulk = Bulk::insert(
    "journal",
    &[("run_id", Kind::Text), ("seq", Kind::Int), ("at", Kind::Int), ("input", Kind::Text)],
    "",
);
static MARK: Bulk = Bulk::update(
    "runs",
    &[("id", Kind::Text), ("status", Kind::Text)],
    "id",
    "status = given.status",
    "AND runs.ended_at IS NULL",
);
static END: Bulk = Bulk::update(
    "runs",
    &[
        ("id", Kind::Text),
        ("status", Kind::Text),
        ("output", Kind::Text),
        ("error", Kind::Text),
        ("ended_at", Kind::Int),
    ],
    "id",
    "status = given.status, output = given.output, error = given.error, ended_at = given.ended_at",
    "AND runs.ended_at IS NULL",
);
static REOPEN: Sql = Sql::same(
    "UPDATE runs SET status = 'pending', output = NULL, error = NULL, ended_at = NULL, retries = retries + 1, handed_at = NULL \
     WHERE id = $1 AND tenant = $2 AND status = 'faulted' AND ended_at = $3",
);
const COLUMNS: &str = "SELECT id, tenant, namespace, name, version, definition_hash, semantics, event_id, by_events, input, status, output, \
                       error, started_at, ended_at, begun_at, parent_run, parent_op, depth, quiet, retries, handed_at FROM runs";
const JOURNAL: &str =
    "SELECT run_id, seq, at, input FROM journal WHERE run_id = $1 AND input <> '' ORDER BY seq";
const LIVE_JOURNALS: &str = "SELECT j.run_id, j.seq, j.at, j.input FROM runs r JOIN journal j ON j.run_id = r.id \
                             WHERE r.ended_at IS NULL AND r.id >= $1 AND r.id <= $2 AND j.input <> '' ORDER BY r.id, j.seq";
const LIVE_OF: &str =
    "SELECT 1 AS one FROM runs WHERE ended_at IS NULL AND tenant = $1 AND namespace = $2 AND name = $3";

pub(crate) const STATEMENTS: &[&Sql] = &[&REOPEN];
pub(crate) const BULKS: &[&Bulk] = &[&ADD, &ADD_CHILD, &APPEND, &MARK, &END];

/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

impl WriteSet {
    /// A run that now has to be driven, and a notice of it.
    pub fn add_run(&mut self, run: Arc<NewRun>) {
        let values: [Value; 12] = [
            run.id.as_str().into(),
            run.tenant.as_str().into(),
            run.namespace.as_str().into(),
            run.name.as_str().into(),
            run.version.as_str().into(),
            run.definition_hash.as_str().into(),
            run.semantics.into(),
            run.event_id.as_ref().map(SignalId::as_str).into(),
            run.by_events.into(),
            run.input.as_ref().into(),
            "pending".into(),
            run.started_at.into(),
        ];
        match &run.parent {
            None => self.row(&ADD, values),
            Some(parent) => self.child_row(values, parent),
        }
        self.announce_run(run);
    }

    fn child_row(&mut self, values: [Value; 12], parent: &Parent) {
        let [id, tenant, namespace, name, version, hash, semantics, event, by_events, input, status, at] =
            values;
        let (run, op) = (parent.run.as_str().into(), op_column(parent.op).into());
        let more: [Value; 16] = [
            id,
            tenant,
            namespace,
            name,
            version,
            hash,
            semantics,
            event,
            by_events,
            input,
            status,
            at,
            run,
            op,
            parent.depth.into(),
            parent.quiet.into(),
        ];
        self.row(&ADD_CHILD, more);
    }

    /// Lets a run that faulted at this time go on, and a notice of it. Fails the set when it is no longer as it was.
    pub fn reopen_run(&mut self, tenant: &Tenant, run: &RunId, ended_at: Millis) {
        let args = [run.as_str().into(), tenant.as_str().into(), ended_at.into()];
        self.write(&REOPEN, args, Expect::One("the run is no longer faulted"));
        self.announce_reopened(run.clone());
    }

    /// One more entry of a journal. Fails the set with `Exists` when that place is taken.
    pub fn append_journal(&mut self, run: &RunId, seq: i64, at: Millis, input: String) {
        if seq > PLACES_KEPT {
            return self.append_beyond(run, seq, at, input);
        }
        self.row(&APPEND, [run.as_str().into(), seq.into(), at.into(), input.into()]);
    }

    /// Notes the phase of a run that goes on.
    pub fn mark_run(&mut self, run: &RunId, status: &str) {
        self.row(&MARK, [run.as_str().into(), status.into()]);
    }

    /// Ends a run.
    pub fn end_run(&mut self, run: &RunId, ending: &Ending<'_>) {
        let values: [Value; 5] = [
            run.as_str().into(),
            ending.status.into(),
            ending.output.into(),
            ending.error.into(),
            ending.at.into(),
        ];
        self.row(&END, values);
    }
}

impl Store {
    /// One run of a tenant.
    pub async fn run(&self, tenant: &Tenant, id: &RunId) -> Result<Option<RunRecord>, Error> {
        self.row(by_id(tenant, id)).await?.map(record).transpose()
    }

    /// A page of a tenant's runs, newest first.
    pub async fn runs(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<RunRecord>, Error> {
        let rows = self.rows(list(tenant, filter, place, limit)).await?;
        rows.into_iter().map(record).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn runs_count(&self, tenant: &Tenant, filter: &Filter) -> Result<i64, Error> {
        let select = filtered(
            Select::new("SELECT 1 AS one FROM runs WHERE tenant = $1", [tenant.as_str().into()]),
            filter,
        );
        self.count(select, COUNT_MAX).await
    }

    /// A run's journal, oldest first; without what its snapshot stands for, which is read after it.
    pub async fn journal(&self, run: &RunId) -> Result<Vec<JournalEntry>, Error> {
        let rows = self.rows(Select::new(JOURNAL, [run.as_str().into()])).await?;
        rows.into_iter().map(entry).collect()
    }

    /// One run of any tenant: for the engine.
    pub async fn any_run(&self, id: &RunId) -> Result<Option<RunRecord>, Error> {
        self.row(any_by_id(id)).await?.map(record).transpose()
    }

    /// The run that an operation of another started.
    pub async fn child(&self, parent: &RunId, op: u64) -> Result<Option<RunRecord>, Error> {
        self.row(child(parent, op_column(op))).await?.map(record).transpose()
    }

    /// How many runs of a workflow, or of one version of it, have not ended, at most [`COUNT_MAX`].
    pub async fn live_count(
        &self,
        tenant: &Tenant,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<i64, Error> {
        let select = Select::new(LIVE_OF, [tenant.as_str().into(), namespace.into(), name.into()]);
        self.count(select.and_maybe("version =", version), COUNT_MAX).await
    }

    /// Runs of every tenant that have not ended, by id, after one: for the engine.
    pub async fn live_runs(&self, after: Option<&RunId>, limit: i64) -> Result<Vec<RunRecord>, Error> {
        let rows = self.rows(live(after, limit)).await?;
        rows.into_iter().map(record).collect()
    }

    /// The journals of live runs between two ids: for the engine.
    pub async fn live_journals(&self, first: &RunId, last: &RunId) -> Result<Vec<JournalEntry>, Error> {
        let rows =
            self.rows(Select::new(LIVE_JOURNALS, [first.as_str().into(), last.as_str().into()])).await?;
        rows.into_iter().map(entry).collect()
    }

    /// Runs that nobody drives yet, oldest first: for the engine, when it missed a notice.
    pub async fn pending_runs(&self, after: Option<&RunId>, limit: i64) -> Result<Vec<RunRecord>, Error> {
        let rows = self.rows(pending(after, limit)).await?;
        rows.into_iter().map(record).collect()
    }
}

fn by_id(tenant: &Tenant, id: &RunId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()).and("id =", id.as_str())
}

fn any_by_id(id: &RunId) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE id =", id.as_str())
}

fn child(parent: &RunId, op: i64) -> Select {
    Select::new(COLUMNS, []).then_arg("WHERE parent_run =", parent.as_str()).and("parent_op =", op)
}

/// Operations are counted from 1, far below the end of a column.
fn op_column(op: u64) -> i64 {
    i64::try_from(op).unwrap_or(i64::MAX)
}

fn live(after: Option<&RunId>, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then("WHERE ended_at IS NULL");
    select.and_maybe("id >", after.map(RunId::as_str)).then_arg("ORDER BY id LIMIT", limit)
}

pub(crate) fn unhanded(after: Option<&RunId>, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then("WHERE ended_at IS NULL AND handed_at IS NULL");
    select.and_maybe("id >", after.map(RunId::as_str)).then_arg("ORDER BY id LIMIT", limit)
}

/// A run that was handed over tells its end itself.
pub(crate) fn turned_away() -> Select {
    let of_live = "parent_run IN (SELECT id FROM runs WHERE ended_at IS NULL)";
    Select::new(COLUMNS, [])
        .then("WHERE")
        .then(of_live)
        .then("AND ended_at IS NOT NULL AND handed_at IS NULL")
}

fn pending(after: Option<&RunId>, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then("WHERE ended_at IS NULL AND status = 'pending'");
    select.and_maybe("id >", after.map(RunId::as_str)).then_arg("ORDER BY id LIMIT", limit)
}

fn filtered(select: Select, filter: &Filter) -> Select {
    let select = match filter.status.as_deref() {
        Some(status) => phase(select, status),
        None => select,
    };
    select
        .and_maybe("namespace =", filter.namespace.as_deref())
        .and_maybe("name =", filter.name.as_deref())
        .and_maybe("event_id =", filter.event_id.as_ref().map(SignalId::as_str))
}

/// A filter by phase, with the words of the partial index that serves it.
fn phase(select: Select, status: &str) -> Select {
    let index = match status {
        "completed" => "",
        "faulted" | "cancelled" => "AND status IN ('faulted', 'cancelled')",
        _ => "AND ended_at IS NULL",
    };
    select.then(index).and("status =", status)
}

fn list(tenant: &Tenant, filter: &Filter, place: &Place, limit: i64) -> Select {
    let select = filtered(Select::new(COLUMNS, []).then_arg("WHERE tenant =", tenant.as_str()), filter);
    let (select, offset) = match place {
        Place::Offset(rows) => (select, *rows),
        Place::After(id) => (select.and("id <", id.as_str()), 0),
    };
    select.then("ORDER BY id DESC").then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

pub(crate) fn record(mut row: Row) -> Result<RunRecord, Error> {
    Ok(RunRecord {
        id: RunId::trusted(row.text()?),
        tenant: Tenant::trusted(row.text()?),
        namespace: row.text()?,
        name: row.text()?,
        version: row.text()?,
        definition_hash: row.text()?,
        semantics: row.int()?,
        event_id: row.text_or_null()?.map(SignalId::trusted),
        by_events: row.int()? == 1,
        input: row.json()?,
        status: row.text()?,
        output: row.json_or_null()?,
        error: row.json_or_null()?,
        started_at: row.int()?,
        ended_at: row.int_or_null()?,
        begun_at: row.int_or_null()?,
        parent: parent(&mut row)?,
        retries: row.int()?,
        handed_at: row.int_or_null()?,
    })
}

fn parent(row: &mut Row) -> Result<Option<Parent>, Error> {
    let (run, op) = (row.text_or_null()?, row.int_or_null()?);
    let (depth, quiet) = (row.int()?, row.int()? == 1);
    let op = op.and_then(|op| u64::try_from(op).ok());
    Ok(run.zip(op).map(|(run, op)| Parent { run: RunId::trusted(run), op, depth, quiet }))
}

fn entry(mut row: Row) -> Result<JournalEntry, Error> {
    Ok(JournalEntry {
        run_id: RunId::trusted(row.text()?),
        seq: row.int()?,
        at: row.int()?,
        input: row.text()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let (tenant, id) = (Tenant::trusted("x".into()), RunId::trusted("x".into()));
    let word = || Some("x".to_owned());
    let filter = Filter {
        status: word(),
        namespace: word(),
        name: word(),
        event_id: Some(SignalId::trusted("x".into())),
    };
    vec![
        by_id(&tenant, &id),
        any_by_id(&id),
        child(&id, 1),
        Select::new(LIVE_OF, ["x".into(), "x".into(), "x".into()]),
        live(Some(&id), 1),
        pending(Some(&id), 1),
        list(&tenant, &filter, &Place::After(id), 1),
        list(&tenant, &Filter::default(), &Place::Offset(0), 1),
        Select::new(JOURNAL, ["x".into()]),
        Select::new(LIVE_JOURNALS, ["x".into(), "x".into()]),
    ]
}
