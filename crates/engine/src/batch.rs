//! What one turn of the driver wants written, and what it may do once that is on disk.
//!
//! Invariant: effects are performed only after [`Batch::to_set`] was committed. The set can be made again,
//! so that a turn survives a database that is away for a while.
//! Not here: deciding anything.

use crate::live::Live;
use crate::remote::Handover;
use crate::spine::Admitted;
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_flow::{Command, Outcome, Status};

use openevent_store::audit::AuditRecord;
use openevent_store::runs::Ending;
use openevent_store::{NewRun, Path, WriteSet};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::oneshot;

/// One turn.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) now: Millis,
    pub(crate) effects: Vec<(u64, Command)>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) replies: Vec<(oneshot::Sender<bool>, bool)>,
    /// What people did to runs, for the audit log.
    pub(crate) acts: Vec<AuditRecord>,
    /// Runs that end without having begun, and why.
    pub(crate) turned_away: Vec<(RunId, Option<Value>)>,
    /// Workflows whose next run starts some time after this turn, by definition.
    pub(crate) after: Vec<(Path, String, Millis)>,
    /// Runs whose journal has become long.
    pub(crate) long: Vec<u64>,
    /// Runs that are driven elsewhere from now on.
    pub(crate) handed: Vec<Handover>,
    children: Vec<Arc<NewRun>>,
    let_in: Vec<(RunId, String)>,
    journal: Vec<(RunId, i64, Millis, String)>,
    marks: Vec<(RunId, Status)>,
    signals: Vec<Admitted>,
}

/// A run that ended in this turn.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) handle: u64,
    pub(crate) run: RunId,
    pub(crate) status: Status,
    output: Option<Value>,
    error: Option<Value>,
}

impl Batch {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            now,
            effects: Vec::new(),
            ended: Vec::new(),
            replies: Vec::new(),
            acts: Vec::new(),
            turned_away: Vec::new(),
            after: Vec::new(),
            let_in: Vec::new(),
            long: Vec::new(),
            handed: Vec::new(),
            children: Vec::new(),
            journal: Vec::new(),
            marks: Vec::new(),
            signals: Vec::new(),
        }
    }

    /// An input a run took in.
    pub(crate) fn journal(&mut self, handle: u64, live: &mut Live, input: String) {
        if live.is_long() {
            live.compacting = true;
            self.long.push(handle);
        }
        self.journal.push((live.id.clone(), live.seq, self.now, input));
    }

    /// A phase that is not on disk yet.
    pub(crate) fn mark(&mut self, live: &mut Live) {
        live.marked = live.run.status();
        self.marks.push((live.id.clone(), live.marked));
    }

    /// A signal a run emits.
    pub(crate) fn signal(&mut self, admitted: Admitted) {
        self.signals.push(admitted);
    }

    /// A signal of what a run lived through, if it makes one.
    pub(crate) fn signals(&mut self, admitted: Option<Admitted>) {
        self.signals.extend(admitted);
    }

    /// A run that a run starts.
    pub(crate) fn child(&mut self, child: Arc<NewRun>) {
        self.children.push(child);
    }

    /// A run that a gate lets in, and its keys.
    pub(crate) fn let_in(&mut self, run: RunId, keys: String) {
        self.let_in.push((run, keys));
    }

    /// The end of a run.
    pub(crate) fn end(&mut self, handle: u64, run: &RunId, outcome: Outcome) {
        let (status, output, error) = columns(outcome);
        self.ended.push(Ended { handle, run: run.clone(), status, output, error });
    }

    /// The rows, all in one set.
    pub(crate) fn to_set(&self) -> WriteSet {
        let mut set = WriteSet::new();
        for act in &self.acts {
            set.add_audit(act);
        }
        for child in &self.children {
            set.add_run(Arc::clone(child));
        }
        for (run, seq, at, input) in &self.journal {
            set.append_journal(run, *seq, *at, input.clone());
        }
        for (run, status) in &self.marks {
            set.mark_run(run, status.as_str());
        }
        for ended in &self.ended {
            let Ended { status, output, error, .. } = ended;
            let ending = Ending {
                status: status.as_str(),
                output: output.as_ref(),
                error: error.as_ref(),
                at: self.now,
            };
            set.end_run(&ended.run, &ending);
        }
        for admitted in &self.signals {
            admitted.write(&mut set);
        }
        for (run, keys) in &self.let_in {
            set.let_in(run, self.now, keys);
        }
        for (path, hash, at) in &self.after {
            set.schedule_after(path, hash, *at);
        }
        for (run, error) in &self.turned_away {
            set.turn_away(run, error.as_ref(), self.now);
        }
        set
    }
}

/// An outcome as the columns of its run's row: the phase, the output, the error.
pub(crate) fn columns(outcome: Outcome) -> (Status, Option<Value>, Option<Value>) {
    match outcome {
        Outcome::Completed(output) => (Status::Completed, Some(output), None),
        Outcome::Faulted(fault) => (Status::Faulted, None, serde_json::to_value(fault).ok()),
        Outcome::Cancelled => (Status::Cancelled, None, None),
    }
}
