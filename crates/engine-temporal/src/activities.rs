//! What a workflow asks of a node.
//!
//! Invariant: an activity that was cut off is made again, under the same key, here or at another node.
//! Not here: what it does (the engine's `Desk`).

use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_engine::remote::{Desk, Opening, Turn, Turned, Unable};
use openevent_flow::{Call, Fault, FaultKind, Input};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

/// How often a call says that it is still under way.
const BEAT: Duration = Duration::from_secs(3);
/// The largest answer a run takes in: Temporal refuses payloads of 2 MiB, and this one is written twice.
const ANSWER_BYTES_MAX: usize = 1_500_000;

/// Which run sets out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) run: RunId,
    pub(crate) execution: String,
}

/// A call to perform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Perform {
    pub(crate) tenant: Tenant,
    pub(crate) run: RunId,
    pub(crate) op: u64,
    pub(crate) call: Call,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secrets: Option<Value>,
}

/// A turn to write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) run: RunId,
    pub(crate) turn: Turn,
}

/// A node at work.
pub(crate) struct Activities {
    pub(crate) desk: Desk,
}

#[activities]
impl Activities {
    /// Reads what a run needs to set out.
    #[activity(name = "open")]
    pub(crate) async fn open(
        self: Arc<Self>,
        _context: ActivityContext,
        open: Open,
    ) -> Result<Opening, ActivityError> {
        Ok(self.desk.open(&open.run, &open.execution).await.map_err(unable)?)
    }

    /// Performs a call.
    #[activity(name = "call")]
    pub(crate) async fn call(
        self: Arc<Self>,
        context: ActivityContext,
        perform: Perform,
    ) -> Result<Input, ActivityError> {
        let Perform { tenant, run, op, call, secrets } = perform;
        let calling = self.desk.call(tenant, run, op, call, secrets);
        tokio::pin!(calling);
        loop {
            tokio::select! {
                input = &mut calling => return Ok(bounded(op, input)),
                () = context.cancelled() => return Err(ActivityError::cancelled()),
                () = tokio::time::sleep(BEAT) => context.record_heartbeat(()).await?,
            }
        }
    }

    /// Writes a turn.
    #[activity(name = "write")]
    pub(crate) async fn write(
        self: Arc<Self>,
        _context: ActivityContext,
        write: Write,
    ) -> Result<Turned, ActivityError> {
        Ok(self.desk.turn(&write.run, write.turn).await.map_err(unable)?)
    }
}

/// What keeps a node from doing it now is for the log and for Temporal's UI; Temporal asks again.
fn unable(cause: Unable) -> Unable {
    tracing::warn!(error = crate::connection::chain(&cause), "a workflow's activity has to be tried again");
    cause
}

/// An answer that fits into Temporal's history.
fn bounded(op: u64, input: Input) -> Input {
    let bytes = serde_json::to_vec(&input).map_or(0, |text| text.len());
    if bytes <= ANSWER_BYTES_MAX {
        return input;
    }
    let words =
        format!("the answer has {bytes} bytes; a run on Temporal takes in at most {ANSWER_BYTES_MAX}");
    Input::Failed { op, error: Fault::new(FaultKind::Runtime, words) }
}
