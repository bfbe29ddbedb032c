//! The workflow `Dispatcher`: takes runs in batches and starts each as a child that lives on without it.
//!
//! Invariant: a run is started under its own name, so that the second time it is there already; what was taken is started
//! or carried over before the dispatcher goes on in a new history.
//! Not here: driving runs (`run`), sending batches (`cluster`).

use crate::attributes;
use crate::letters;
use crate::run::Run;
use openevent_engine::remote::Handover;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::workflows::join_all;
use temporalio_sdk::{
    ChildWorkflowOptions, ChildWorkflowStartError, ContinueAsNewOptions, ParentClosePolicy,
    StartChildWorkflowExecutionFailedCause, SyncWorkflowContext, WorkflowContext, WorkflowIdReusePolicy,
    WorkflowResult,
};

/// Children started at a time.
const BATCH: usize = 50;
/// Children one history holds.
const CHILDREN_MAX: usize = 1_000;
/// Before what could not be started is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a dispatcher begins with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dispatch {
    /// Runs that were taken and not started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<Handover>,
    /// Whether the namespace knows our search attributes.
    #[serde(default)]
    pub(crate) has_attributes: bool,
}

/// One of a project's dispatchers.
#[workflow]
#[derive(Default)]
pub(crate) struct Dispatcher {
    waiting: VecDeque<Handover>,
}

#[workflow_methods]
impl Dispatcher {
    /// Starts what it is given, for ever.
    #[run(name = "Dispatcher")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, dispatch: Dispatch) -> WorkflowResult<()> {
        let has_attributes = dispatch.has_attributes;
        ctx.state_mut(|state| {
            for run in dispatch.waiting.into_iter().rev() {
                state.waiting.push_front(run);
            }
        });
        let mut started = 0;
        loop {
            ctx.wait_condition(|state| !state.waiting.is_empty()).await?;
            let batch: Vec<Handover> = ctx.state_mut(|state| {
                let upto = state.waiting.len().min(BATCH);
                state.waiting.drain(..upto).collect()
            });
            let starting = batch.into_iter().map(|run| start(ctx.clone(), run, has_attributes));
            let refused: Vec<Handover> = join_all(starting).await.into_iter().flatten().collect();
            started += BATCH;
            if !refused.is_empty() {
                ctx.state_mut(|state| state.waiting.extend(refused));
                ctx.timer(PAUSE).await;
            }
            if started >= CHILDREN_MAX || ctx.continue_as_new_suggested() {
                let waiting = ctx.state_mut(|state| state.waiting.drain(..).collect());
                let rest = Dispatch { waiting, has_attributes };
                ctx.continue_as_new(rest, ContinueAsNewOptions::default())?;
            }
        }
    }

    /// Gives it runs.
    #[signal(name = "dispatch")]
    pub(crate) fn dispatch(&mut self, _ctx: &mut SyncWorkflowContext<Self>, letter: RawValue) {
        if let Some(runs) = letters::open::<Vec<Handover>>(&letter, "dispatcher") {
            self.waiting.extend(runs);
        }
    }
}

/// Starts a run. Answers it when it could not be started and has to be tried again.
async fn start(ctx: WorkflowContext<Dispatcher>, run: Handover, has_attributes: bool) -> Option<Handover> {
    let options = ChildWorkflowOptions::builder()
        .workflow_id(run.execution.clone())
        .parent_close_policy(ParentClosePolicy::Abandon)
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .static_summary(attributes::summary(&run))
        .maybe_search_attributes(has_attributes.then(|| attributes::of(&run)))
        .build();
    let started = ctx.start_child_workflow(Run::run, run.clone(), options).await;
    match started {
        Ok(_)
        | Err(ChildWorkflowStartError::StartFailed {
            cause: StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists,
            ..
        }) => None,
        Err(cause) => {
            tracing::warn!(error = %cause, run.id = %run.run, "a run could not be started; it is tried again");
            Some(run)
        }
    }
}
