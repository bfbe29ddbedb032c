//! Runs that are driven elsewhere, on a cluster: what is said between this node and whoever drives them.
//!
//! Invariant: the store stays what people are shown, and what says that a run has ended; the cluster says what happens
//! next. Whatever is said here may be said twice: every piece carries what tells it from its repetition.
//! Not here: a particular cluster (`openevent-engine-temporal`); who is handed over, and when (`driver`).

mod coordinate;
mod courier;
mod desk;
mod pilot;
mod turn;

pub use desk::{Desk, Unable};
pub use pilot::{Pilot, Undertaking};
pub use turn::{Emission, Ended, Entry, Listening, Offspring, Opening, Ready, Tale, Turn, Turned};

pub(crate) use coordinate::Abroad;
pub(crate) use courier::Courier;

use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::tenant::Tenant;
use openevent_flow::{Definition, Input};
use openevent_store::audit::AuditRecord;
use openevent_store::runs::RunRecord;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::pin::Pin;

/// What the methods of a [`Cluster`] answer.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The cluster cannot be reached, or did not take what it was given.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// A run that sets out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Which.
    pub run: RunId,
    /// Whose.
    pub tenant: Tenant,
    /// What it is called there.
    pub execution: String,
    /// `namespace/name` of its workflow.
    pub workflow: String,
    /// The workflow's version.
    pub version: String,
    /// The signal that started it.
    pub event_id: Option<SignalId>,
    /// When it was started.
    pub started_at: Millis,
}

impl Handover {
    pub(crate) fn of(record: &RunRecord) -> Self {
        Self {
            run: record.id.clone(),
            tenant: record.tenant.clone(),
            execution: execution(&record.id, record.retries),
            workflow: format!("{}/{}", record.namespace, record.name),
            version: record.version.clone(),
            event_id: record.event_id.clone(),
            started_at: record.started_at,
        }
    }

    pub(crate) fn new(beginning: &crate::live::Beginning, definition: &Definition) -> Self {
        Self {
            run: beginning.id.clone(),
            tenant: beginning.tenant.clone(),
            execution: execution(&beginning.id, 0),
            workflow: format!("{}/{}", definition.namespace(), definition.name()),
            version: definition.version().to_owned(),
            event_id: beginning.event_id.clone(),
            started_at: beginning.started_at,
        }
    }
}

/// What a run is called where it is driven: one name for each time it sets out, so that two that set out for one run
/// are never taken for one another.
pub(crate) fn execution(run: &RunId, retries: i64) -> String {
    if retries == 0 { run.to_string() } else { format!("{run}.{retries}") }
}

/// Where runs are driven when it is not in this process.
pub trait Cluster: Send + Sync + Debug {
    /// Takes runs over, durably. One that it has is not taken twice.
    fn hand_over(&self, runs: Vec<Handover>) -> Boxed<'_, Result<(), Away>>;

    /// Tells a run what happened, durably. `false`: it has no such run, or that has ended.
    fn tell(&self, execution: String, inputs: Vec<Input>) -> Boxed<'_, Result<bool, Away>>;

    /// Whether it is there.
    fn check(&self) -> Boxed<'_, Result<(), Away>>;

    /// What is wrong with it at the moment, as far as it has been noticed.
    fn trouble(&self) -> Option<String>;

    /// Tells a run what somebody wants of it, and answers whether that changed anything. `None`: it has no such run.
    fn ask(
        &self,
        execution: String,
        input: Input,
        act: Option<AuditRecord>,
    ) -> Boxed<'_, Result<Option<bool>, Away>>;
}
