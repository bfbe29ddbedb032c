//! What travels between a run that is driven elsewhere and the node that writes for it.
//!
//! Invariant: plain data that can be written as JSON; a turn holds everything its commit needs, so that repeating it
//! finds what it wrote the first time.
//! Not here: making turns (`pilot`), writing them (`desk`).

use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Child, Documents, Input, Outcome, Run, Status};
use openevent_store::audit::AuditRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a run needs to set out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// There is nothing to drive: it has ended, or was never there.
    Over,
    /// It sets out with this.
    Ready(Box<Ready>),
}

/// A run that is ready to set out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// Which.
    pub run: RunId,
    /// Whose.
    pub tenant: Tenant,
    /// What it is called where it is driven.
    pub execution: String,
    /// The hash of its definition.
    pub hash: String,
    /// Its definition's text.
    pub source: String,
    /// What the definition was linked with.
    #[serde(default)]
    pub documents: Documents,
    /// What it was started with.
    pub input: Value,
    /// Whether that is the array of CloudEvents of a trigger.
    pub by_events: bool,
    /// When it began.
    pub first_at: Millis,
    /// Whether it tells nobody of its life.
    pub quiet: bool,
    /// Its state, when it has set out before.
    pub state: Option<Run>,
    /// The place of the last entry of its journal.
    pub seq: i64,
    /// Whether somebody hears what runs live through.
    pub heard: bool,
}

/// Everything one step of a run wants written, in one commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Counts the turns since the run set out.
    pub number: u64,
    /// When.
    pub at: Millis,
    /// What it took in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// What it emits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emissions: Vec<Emission>,
    /// Runs it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Offspring>,
    /// Operations whose runs are to be cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abandoned: Vec<u64>,
    /// What it begins to listen to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<Listening>,
    /// Operations that listen no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlistens: Vec<u64>,
    /// What it lived through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tales: Vec<Tale>,
    /// Its phase, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Status>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// What people did to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<AuditRecord>,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub seq: i64,
    /// When.
    pub at: Millis,
    /// The input.
    pub input: Input,
}

/// An event to emit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emission {
    /// For which operation.
    pub op: u64,
    /// The CloudEvent.
    pub event: Value,
}

/// A run to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offspring {
    /// For which operation.
    pub op: u64,
    /// What to run.
    pub child: Child,
}

/// What an operation begins to listen to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listening {
    /// Which operation.
    pub op: u64,
    /// Types of events; `None` for any.
    pub names: Vec<Option<String>>,
    /// When it began to listen.
    pub since: Millis,
}

/// One thing a run lived through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tale {
    /// The type of its event, without what all have in common.
    pub name: String,
    /// The event's data.
    pub data: Map<String, Value>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended(pub Outcome);

impl Turn {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self { number: self.number, at: self.at, ..Self::default() }
    }
}

/// What writing a turn answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turned {
    /// The run's next inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Input>,
    /// Whether somebody hears what runs live through.
    #[serde(default)]
    pub heard: bool,
    /// Whether the run has ended, by this or by something else.
    #[serde(default)]
    pub over: bool,
}
