//! What a commit tells those who wait for work: the signals and runs it made.
//!
//! Invariant: sent only after the commit, in commit order; losing one loses no work, since everything
//! told here is also on disk.
//! Not here: who listens (see `wake`).

use crate::deliveries::Status;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{RunId, SignalId, WebhookId};
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::DeliveryId;
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
    /// The run that started it.
    pub parent: Option<Parent>,
}

/// A delivery to be made.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: Tenant,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// What it carries.
    pub signal: Option<Arc<NewSignal>>,
    /// The signal's name.
    pub name: String,
    /// A body of its own, when there is no signal.
    pub body: Option<String>,
    /// Deliveries of one lane are sent one after the other.
    pub lane: Option<String>,
    /// Pending, or held.
    pub status: Status,
    /// The node that has it in hand from the beginning; empty for none.
    pub holder: Arc<str>,
    /// When it is made, and due.
    pub created_at: Millis,
}

/// How a run came to be started by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The run that started it.
    pub run: RunId,
    /// The operation of that run.
    pub op: u64,
    /// How many runs are above it, from 1.
    pub depth: i64,
    /// Whether it tells nobody of its life, as its parent does not.
    pub quiet: bool,
}

/// A workflow whose trigger gathers events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Whose it is.
    pub tenant: Tenant,
    /// `document.namespace`.
    pub namespace: String,
    /// `document.name`.
    pub name: String,
}

/// What one commit made.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a bell of its own; any of them may ring with any other"
)]
#[derive(Clone, Debug, Default)]
pub struct Notice {
    /// Signals, in the order they were written.
    pub signals: Vec<Arc<NewSignal>>,
    /// Runs that now have to be driven.
    pub runs: Vec<Arc<NewRun>>,
    /// Runs that had ended and go on.
    pub reopened: Vec<RunId>,
    /// Workflows for which events were kept.
    pub gathered: Vec<Path>,
    /// Whether runs that are driven elsewhere ended, or listen to something else than before.
    pub moved: bool,
    /// Deliveries that this node has in hand.
    pub deliveries: Vec<Arc<NewDelivery>>,
    /// Whether what is owed to webhooks was changed otherwise.
    pub nudged: bool,
    /// Whether webhooks were changed.
    pub webhooks_changed: bool,
    /// Whether something was asked of a run elsewhere, or answered.
    pub requested: bool,
}

impl Notice {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.has_only_signals() && !self.is_stirring()
    }

    /// Whether somebody waits for it besides those whom signals and runs concern.
    pub(crate) fn is_stirring(&self) -> bool {
        self.nudged || self.webhooks_changed || self.requested
    }

    /// Whether nothing is in it but signals, which only some wait for.
    pub(crate) fn has_only_signals(&self) -> bool {
        self.runs.is_empty() && self.reopened.is_empty() && self.gathered.is_empty() && !self.moved
    }
}
