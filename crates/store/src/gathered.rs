//! Events kept for workflows that start when several have come.
//!
//! Invariant: an event is kept once for each workflow, in the commit of its signal; it is spent in the set that
//! starts a run with it, guarded so that it is spent once.
//! Not here: when enough have come.

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Path, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::SignalId;
use openevent_domain::tenant::Tenant;
use std::sync::Arc;

/// Events of one workflow that are read at a time.
pub const EVENTS_MAX: i64 = 10_000;

/// An event that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredEvent {
    /// For which workflow.
    pub path: Path,
    /// The signal it came as.
    pub signal_id: SignalId,
    /// When.
    pub received_at: Millis,
    /// The CloudEvent.
    pub event: Arc<serde_json::Value>,
}

static ADD: Bulk = Bulk::insert(
    "gathered_events",
    &[
        ("tenant", Kind::Text),
        ("namespace", Kind::Text),
        ("name", Kind::Text),
        ("signal_id", Kind::Text),
        ("received_at", Kind::Int),
        ("event", Kind::Text),
    ],
    "",
);
static SPEND: Sql = Sql::same(
    "DELETE FROM gathered_events WHERE tenant = $1 AND namespace = $2 AND name = $3 AND signal_id = $4",
);
static FORGET: Sql =
    Sql::same("DELETE FROM gathered_events WHERE tenant = $1 AND namespace = $2 AND name = $3");
const OF_WORKFLOW: &str = "SELECT tenant, namespace, name, signal_id, received_at, event FROM gathered_events \
                           WHERE tenant = $1 AND namespace = $2 AND name = $3 ORDER BY received_at, signal_id LIMIT $4";
const PATHS: &str = "SELECT DISTINCT tenant, namespace, name FROM gathered_events";

pub(crate) const STATEMENTS: &[&Sql] = &[&SPEND, &FORGET];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

impl WriteSet {
    /// Keeps an event, and a notice of it.
    pub fn keep_event(&mut self, kept: &GatheredEvent) {
        let GatheredEvent { path, signal_id, received_at, event } = kept;
        let values = [
            path.tenant.as_str().into(),
            path.namespace.as_str().into(),
            path.name.as_str().into(),
            signal_id.as_str().into(),
            (*received_at).into(),
            event.as_ref().into(),
        ];
        self.row(&ADD, values);
        self.announce_gathered(path.clone());
    }

    /// Spends a kept event. Fails the set when somebody has.
    pub fn spend_event(&mut self, path: &Path, signal: &SignalId) {
        let args = [
            path.tenant.as_str().into(),
            path.namespace.as_str().into(),
            path.name.as_str().into(),
            signal.as_str().into(),
        ];
        self.write(&SPEND, args, Expect::One("the event is spent"));
    }

    /// Forgets what is kept for a workflow.
    pub fn forget_events(&mut self, path: &Path) {
        let args = [path.tenant.as_str().into(), path.namespace.as_str().into(), path.name.as_str().into()];
        self.write(&FORGET, args, Expect::Any);
    }
}

impl Store {
    /// What is kept for a workflow, oldest first, at most [`EVENTS_MAX`].
    pub async fn gathered_events(&self, path: &Path) -> Result<Vec<GatheredEvent>, Error> {
        let rows = self.rows(of_workflow(path)).await?;
        rows.into_iter().map(event).collect()
    }

    /// The workflows for which anything is kept: for the engine.
    pub async fn gathering(&self) -> Result<Vec<Path>, Error> {
        self.rows(Select::new(PATHS, [])).await?.into_iter().map(|mut row| path(&mut row)).collect()
    }
}

fn of_workflow(path: &Path) -> Select {
    let args = [
        path.tenant.as_str().into(),
        path.namespace.as_str().into(),
        path.name.as_str().into(),
        EVENTS_MAX.into(),
    ];
    Select::new(OF_WORKFLOW, args)
}

fn path(row: &mut Row) -> Result<Path, Error> {
    Ok(Path { tenant: Tenant::trusted(row.text()?), namespace: row.text()?, name: row.text()? })
}

fn event(mut row: Row) -> Result<GatheredEvent, Error> {
    Ok(GatheredEvent {
        path: path(&mut row)?,
        signal_id: SignalId::trusted(row.text()?),
        received_at: row.int()?,
        event: Arc::new(row.json()?),
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let path = Path { tenant: Tenant::trusted("x".into()), namespace: "x".into(), name: "x".into() };
    vec![of_workflow(&path), Select::new(PATHS, [])]
}
