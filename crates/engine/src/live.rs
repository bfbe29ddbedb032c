//! A run in memory: the interpreter's state and what the driver must know beside it.
//!
//! Invariant: `seq` is the number of inputs that are in the journal or in the batch being written.
//! Not here: the loop (see `driver`).

use crate::gating::Inside;
use crate::past::Folded;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::tenant::Tenant;
use openevent_flow::{Command, Definition, Run, Status};

use openevent_store::runs::RunRecord;
use openevent_store::{NewRun, Parent};
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Entries beyond its snapshot that a run may have before a new one is made.
const COMPACT_AFTER: i64 = 1_000;

/// One live run.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: RunId,
    pub(crate) tenant: Tenant,
    pub(crate) definition: Arc<Definition>,
    pub(crate) run: Run,
    pub(crate) seq: i64,
    /// Signals received before this are not offered: where its earliest look back began.
    pub(crate) hears_from: i64,
    /// The phase on disk.
    pub(crate) marked: Status,
    /// Whether it was read from the store rather than told of: its notice may still come.
    pub(crate) taken_up: bool,
    /// The last entry its snapshot stands for.
    pub(crate) compacted: i64,
    /// Whether its journal is being made shorter.
    pub(crate) compacting: bool,
    /// The run that started it.
    pub(crate) parent: Option<Parent>,
    /// Whether nobody is told of its life.
    pub(crate) quiet: bool,
    /// Where a gate let it in.
    pub(crate) inside: Option<Box<Inside>>,
    /// Runs it waits for, by operation.
    pub(crate) children: Vec<(u64, RunId)>,
    /// Calls under way, by operation.
    pub(crate) calls: Vec<(u64, AbortHandle)>,
}

/// What has to be known to begin a run.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) id: RunId,
    pub(crate) tenant: Tenant,
    pub(crate) definition_hash: String,
    pub(crate) semantics: i64,
    pub(crate) input: Arc<serde_json::Value>,
    pub(crate) by_events: bool,
    pub(crate) started_at: i64,
    pub(crate) taken_up: bool,
    pub(crate) parent: Option<Parent>,
    /// The signal that started it.
    pub(crate) event_id: Option<SignalId>,
}

impl From<&NewRun> for Beginning {
    fn from(run: &NewRun) -> Self {
        Self {
            id: run.id.clone(),
            tenant: run.tenant.clone(),
            definition_hash: run.definition_hash.clone(),
            semantics: run.semantics,
            input: Arc::clone(&run.input),
            by_events: run.by_events,
            started_at: run.started_at,
            taken_up: false,
            parent: run.parent.clone(),
            event_id: run.event_id.clone(),
        }
    }
}

impl From<RunRecord> for Beginning {
    fn from(run: RunRecord) -> Self {
        Self {
            id: run.id,
            tenant: run.tenant,
            definition_hash: run.definition_hash,
            semantics: run.semantics,
            input: Arc::new(run.input),
            by_events: run.by_events,
            started_at: run.started_at,
            taken_up: true,
            parent: run.parent,
            event_id: run.event_id,
        }
    }
}

impl Live {
    pub(crate) fn new(id: RunId, tenant: Tenant, definition: Arc<Definition>) -> Self {
        Self {
            id,
            tenant,
            definition,
            run: Run::new(),
            seq: 0,
            hears_from: i64::MAX,
            marked: Status::Pending,
            taken_up: false,
            compacted: 0,
            compacting: false,
            parent: None,
            quiet: false,
            inside: None,
            children: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Takes on what it has behind it; answers what the last entry asked for.
    pub(crate) fn resume(&mut self, folded: Folded) -> Vec<Command> {
        let Folded { run, seq, compacted, last } = folded;
        (self.run, self.seq, self.compacted) = (run, seq, compacted);
        last
    }

    /// Whether its journal should be made shorter now.
    pub(crate) fn is_long(&self) -> bool {
        self.seq - self.compacted >= COMPACT_AFTER && !self.compacting
    }

    /// Stops a call whose answer nobody wants any more.
    pub(crate) fn abandon(&mut self, op: u64) {
        if let Some(at) = self.calls.iter().position(|(calling, _)| *calling == op) {
            self.calls.swap_remove(at).1.abort();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for (_, call) in &self.calls {
            call.abort();
        }
    }
}
