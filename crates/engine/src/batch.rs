//! What one turn of the driver wants written, and what it may do once that is on disk.
//!
//! Invariant: effects are performed only after [`Batch::to_set`] was committed. The set can be made again,
//! so that a turn survives a database that is away for a while.
//! Not here: deciding anything.

use crate::live::Live;
use crate::spine::Admitted;
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_flow::{Command, Outcome, Status};
use openevent_store::WriteSet;
use openevent_store::runs::Ending;
use serde_json::Value;
use tokio::sync::oneshot;

/// One turn.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) now: Millis,
    pub(crate) effects: Vec<(u64, Command)>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) replies: Vec<(oneshot::Sender<bool>, bool)>,
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
            journal: Vec::new(),
            marks: Vec::new(),
            signals: Vec::new(),
        }
    }

    /// An input a run took in.
    pub(crate) fn journal(&mut self, live: &Live, input: String) {
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

    /// The end of a run.
    pub(crate) fn end(&mut self, handle: u64, run: &RunId, outcome: Outcome) {
        let (status, output, error) = match outcome {
            Outcome::Completed(output) => (Status::Completed, Some(output), None),
            Outcome::Faulted(fault) => (Status::Faulted, None, serde_json::to_value(fault).ok()),
            Outcome::Cancelled => (Status::Cancelled, None, None),
        };
        self.ended.push(Ended { handle, run: run.clone(), status, output, error });
    }

    /// The rows, all in one set.
    pub(crate) fn to_set(&self) -> WriteSet {
        let mut set = WriteSet::new();
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
        set
    }
}
