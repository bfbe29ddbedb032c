//! Runs and their journals.
//!
//! Invariant: a journal entry's place is its key, so two drivers can never both write one; a run that
//! has ended is not changed again.
//! Not here: what an input means; it is JSON text to us.

use crate::notice::NewRun;
use crate::sql::{Bulk, Kind, Select};
use crate::value::{Row, Value};
use crate::write::WriteSet;
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
const COLUMNS: &str = "SELECT id, tenant, namespace, name, version, definition_hash, semantics, event_id, by_events, input, status, output, \
                       error, started_at, ended_at FROM runs";
const JOURNAL: &str = "SELECT run_id, seq, at, input FROM journal WHERE run_id = $1 ORDER BY seq";
const LIVE_JOURNALS: &str = "SELECT j.run_id, j.seq, j.at, j.input FROM runs r JOIN journal j ON j.run_id = r.id \
                             WHERE r.ended_at IS NULL AND r.id >= $1 AND r.id <= $2 ORDER BY r.id, j.seq";

pub(crate) const BULKS: &[&Bulk] = &[&ADD, &APPEND, &MARK, &END];

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
        self.row(&ADD, values);
        self.announce_run(run);
    }

    /// One more entry of a journal. Fails the set with `Exists` when that place is taken.
    pub fn append_journal(&mut self, run: &RunId, seq: i64, at: Millis, input: String) {
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

    /// A run's journal, oldest first.
    pub async fn journal(&self, run: &RunId) -> Result<Vec<JournalEntry>, Error> {
        let rows = self.rows(Select::new(JOURNAL, [run.as_str().into()])).await?;
        rows.into_iter().map(entry).collect()
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

fn live(after: Option<&RunId>, limit: i64) -> Select {
    let select = Select::new(COLUMNS, []).then("WHERE ended_at IS NULL");
    select.and_maybe("id >", after.map(RunId::as_str)).then_arg("ORDER BY id LIMIT", limit)
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

fn record(mut row: Row) -> Result<RunRecord, Error> {
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
    })
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
        live(Some(&id), 1),
        pending(Some(&id), 1),
        list(&tenant, &filter, &Place::After(id), 1),
        list(&tenant, &Filter::default(), &Place::Offset(0), 1),
        Select::new(JOURNAL, ["x".into()]),
        Select::new(LIVE_JOURNALS, ["x".into(), "x".into()]),
    ]
}
