//! Runs that runs start: begun, answered for and cancelled together with who started them.
//!
//! Invariant: a child's row is in the commit of the input that asked for it, its end in the commit of the answer.
//! Not here: what a run does with the answer.

use crate::actions::veil::mask;
use crate::batch::Batch;
use crate::clockwork::next_after;
use crate::driver::{Driver, Lost};
use crate::registry::Registry;
use crate::spine::Spine;
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Child, Fault, FaultKind, Input, Outcome, Wait};
use openevent_store::runs::RunRecord;
use openevent_store::{NewRun, Parent};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// Runs above a run, at most: deeper is a workflow that runs itself.
const DEPTH_MAX: i64 = 32;

impl Driver {
    /// Starts a run for an operation of another; what it is answered at once goes to `inputs`.
    pub(crate) fn start_child(
        &mut self,
        handle: u64,
        op: u64,
        child: Child,
        inputs: &mut VecDeque<Input>,
        batch: &mut Batch,
    ) {
        let wait = child.wait;
        match self.child_of(handle, op, child, batch) {
            Err(error) => inputs.push_back(Input::Failed { op, error }),
            Ok(run) => {
                if wait == Wait::No {
                    inputs.push_back(Input::Done { op, value: Value::Null });
                } else if let Some(live) = self.runs.get_mut(&handle) {
                    live.children.push((op, run.id.clone()));
                }
                batch.child(Arc::new(run));
            }
        }
    }

    fn child_of(&self, handle: u64, op: u64, child: Child, batch: &Batch) -> Result<NewRun, Fault> {
        let Some(live) = self.runs.get(&handle) else {
            return Err(Fault::new(FaultKind::Configuration, "the run is gone"));
        };
        let depth = live.parent.as_ref().map_or(0, |parent| parent.depth);
        let above = Above { tenant: &live.tenant, run: &live.id, depth, quiet: live.quiet };
        child_run(&self.registry, &self.spine, &above, op, child, batch.now)
    }

    /// The child of a restored run: it may be under way, or have ended, or not be there yet.
    pub(crate) async fn find_child(
        &mut self,
        handle: u64,
        op: u64,
        child: Child,
        inputs: &mut VecDeque<Input>,
        batch: &mut Batch,
    ) -> Result<(), Lost> {
        let Some(live) = self.runs.get(&handle) else { return Ok(()) };
        let run = live.id.clone();
        // A child that ends in this very turn has to be seen to have ended.
        let now = batch.now;
        self.settle(std::mem::replace(batch, Batch::new(now))).await?;
        let found = self.store.child(&run, op).await.map_err(|cause| crate::restore::lost(&cause))?;
        match found {
            None => self.start_child(handle, op, child, inputs, batch),
            Some(_) if child.wait == Wait::No => inputs.push_back(Input::Done { op, value: Value::Null }),
            Some(record) if record.ended_at.is_some() => inputs.push_back(answer_of(op, record)),
            Some(record) => {
                if let Some(live) = self.runs.get_mut(&handle) {
                    live.children.push((op, record.id));
                }
            }
        }
        Ok(())
    }

    /// Cancels the run an operation waits for, if it waits for one.
    pub(crate) fn cancel_child(&mut self, handle: u64, op: u64, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&handle) else { return };
        let Some(at) = live.children.iter().position(|(waiting, _)| *waiting == op) else { return };
        let (_, run) = live.children.swap_remove(at);
        if let Some(child) = self.by_id.get(&run).copied() {
            self.advance(child, Input::Cancel, batch);
        } else {
            self.turn_away(run, None, batch);
        }
    }

    /// Ends a run, and answers the one that waits for it.
    pub(crate) fn finish(&mut self, handle: u64, outcome: Outcome, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&handle) else { return };
        let above = live.parent.as_ref().map(|parent| (parent.run.clone(), answer(parent.op, &outcome)));
        batch.end(handle, &live.id, outcome);
        if let Some(inside) = live.inside.take() {
            self.gates.leave(&live.id, &inside);
        }
        if let Some(live) = self.runs.get(&handle) {
            batch.after.extend(next_after(&live.tenant, &live.definition, batch.now));
        }
        if let Some((above, answer)) = above {
            self.answer_parent(&above, answer, batch);
        }
    }

    /// Answers the operation that waits for a run, if its own run still goes on.
    pub(crate) fn answer_parent(&mut self, parent: &RunId, answer: Input, batch: &mut Batch) {
        if let Some(abroad) = &self.abroad {
            return abroad.courier.tell(parent.clone(), answer);
        }
        let Some(above) = self.by_id.get(parent).copied() else { return };
        if let (Input::Done { op, .. } | Input::Failed { op, .. }, Some(live)) =
            (&answer, self.runs.get_mut(&above))
        {
            live.children.retain(|(waiting, _)| waiting != op);
        }
        self.advance(above, answer, batch);
    }
}

/// The run that starts another.
pub(crate) struct Above<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) run: &'a RunId,
    /// Runs above it.
    pub(crate) depth: i64,
    pub(crate) quiet: bool,
}

/// The run an operation of another starts.
pub(crate) fn child_run(
    registry: &Registry,
    spine: &Spine,
    above: &Above<'_>,
    op: u64,
    child: Child,
    now: Millis,
) -> Result<NewRun, Fault> {
    let refused = |words: String| Fault::new(FaultKind::Configuration, words);
    let Child { namespace, name, version, input, .. } = child;
    // Another run is another place: stand-ins of secrets mean nothing there.
    let input = mask(input);
    let depth = above.depth + 1;
    if depth > DEPTH_MAX {
        return Err(refused(format!("workflows run each other more than {DEPTH_MAX} deep")));
    }
    let found = registry.workflow(above.tenant, &namespace, &name, version.as_deref());
    let Some(workflow) = found else {
        let version = version.map(|version| format!(" {version}")).unwrap_or_default();
        return Err(refused(format!("there is no workflow {namespace}/{name}{version}")));
    };
    let parent = Parent { run: above.run.clone(), op, depth, quiet: above.quiet };
    Ok(NewRun { parent: Some(parent), ..spine.run(above.tenant, &workflow, None, Arc::new(input), now) })
}

pub(crate) fn answer(op: u64, outcome: &Outcome) -> Input {
    match outcome {
        Outcome::Completed(output) => Input::Done { op, value: mask(output.clone()) },
        Outcome::Faulted(fault) => Input::Failed { op, error: seen_from_above(fault.clone()) },
        Outcome::Cancelled => Input::Failed { op, error: cancelled() },
    }
}

pub(crate) fn answer_of(op: u64, record: RunRecord) -> Input {
    let fault = record.error.and_then(|error| serde_json::from_value::<Fault>(error).ok());
    match (record.status.as_str(), fault) {
        ("completed", _) => Input::Done { op, value: mask(record.output.unwrap_or_default()) },
        (_, Some(fault)) => Input::Failed { op, error: seen_from_above(fault) },
        _ => Input::Failed { op, error: cancelled() },
    }
}

/// The pointer into the child's definition means nothing above: the task that ran it takes its place.
fn seen_from_above(fault: Fault) -> Fault {
    Fault { instance: None, ..fault }
}

pub(crate) fn cancelled() -> Fault {
    Fault::new(FaultKind::Runtime, "the workflow that was run has been cancelled")
}
