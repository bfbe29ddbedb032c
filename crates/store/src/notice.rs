//! What a commit tells those who wait for work: the signals and runs it made.
//!
//! Invariant: sent only after the commit, in commit order; losing one loses no work, since everything
//! told here is also on disk.
//! Not here: who listens (see `wake`).

use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether one workflow was started by a signal, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRecord {
    /// `namespace/name` of the workflow that listens to the name.
    pub workflow: String,
    /// Whether it was started.
    pub matched: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A signal to be stored.
#[derive(Clone, Debug)]
pub struct NewSignal {
    /// Its id.
    pub id: SignalId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name.
    pub name: String,
    /// Its payload as JSON text.
    pub payload: String,
    /// The sender's CloudEvents attributes.
    pub attributes: Attributes,
    /// When it came.
    pub received_at: Millis,
    /// The signal this one repeats.
    pub replay_of: Option<SignalId>,
    /// The workflows that listen to its name.
    pub triggers: Vec<TriggerRecord>,
}

impl NewSignal {
    /// Whether it started anything.
    pub fn matched(&self) -> bool {
        self.triggers.iter().any(|trigger| trigger.matched)
    }
}

/// A run to be started.
#[derive(Clone, Debug)]
pub struct NewRun {
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
    /// Its raw input.
    pub input: Arc<serde_json::Value>,
    /// Whether `input` is the array of CloudEvents of a trigger.
    pub by_events: bool,
    /// When it was started.
    pub started_at: Millis,
}

/// What one commit made.
#[derive(Clone, Debug, Default)]
pub struct Notice {
    /// Signals, in the order they were written.
    pub signals: Vec<Arc<NewSignal>>,
    /// Runs that now have to be driven.
    pub runs: Vec<Arc<NewRun>>,
}

impl Notice {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.runs.is_empty()
    }
}
