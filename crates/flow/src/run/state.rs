//! The state of a run that is under way.
//!
//! Invariant: every pending operation belongs to a frame that exists, or to the run as a whole; a frame's parent is
//! older than the frame. Not here: what changes the state (`machine`).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::jq::Val;
use crate::model::TaskId;
use crate::{Authentication, Child, Input, OpenApiCall, ProcessCall};

/// Events a run remembers having consumed.
pub(super) const CONSUMED_MAX: usize = 1_000;

pub(super) type FrameId = u32;

/// Everything about a run between its start and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Body<V = Val> {
    pub(super) run_id: String,
    pub(super) started_at: i64,
    pub(super) input: V,
    pub(super) context: V,
    pub(super) frames: BTreeMap<FrameId, Frame<V>>,
    pub(super) frame_next: FrameId,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) op_next: u64,
    /// Source and id of events consumed, oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) consumed: VecDeque<String>,
    /// While suspended: what arrived meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Vec<Input>>,
}

/// One task under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame<V = Val> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<FrameId>,
    pub(super) task: TaskId,
    pub(super) depth: u32,
    pub(super) raw: V,
    pub(super) input: V,
    pub(super) started_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<u64>,
    pub(super) state: State<V>,
}

/// What a task is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State<V = Val> {
    /// Tasks inside it are.
    Inside,
    Wait {
        op: u64,
    },
    Call {
        op: u64,
        request: Request,
        body: Option<V>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authentication: Option<Box<Authentication>>,
    },
    /// Something else was asked for.
    Asked {
        op: u64,
        asked: Box<Asked>,
    },
    /// It was answered, and this is `$authorization`.
    Answered {
        authorization: V,
    },
    Emit {
        op: u64,
        event: V,
    },
    Listen(Box<Listening<V>>),
    Try(Box<Trying<V>>),
    For {
        items: V,
        index: u32,
        item: V,
    },
    Fork {
        outputs: BTreeMap<TaskId, V>,
        open: u32,
    },
}

/// What a task asked for, as it has to be asked again after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    OpenApi(OpenApiCall),
    Process(ProcessCall),
    Child(Child),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Listening<V = Val> {
    /// `None` once enough events came and only their handling is left.
    pub(super) op: Option<u64>,
    pub(super) since: i64,
    /// Variables of the filters, as they were when listening began.
    pub(super) bound: Vec<(String, V)>,
    /// Correlation values of the first event.
    pub(super) learned: Vec<(String, V)>,
    /// Filters of `all` that have had their event.
    pub(super) met: Vec<bool>,
    /// The same for `until`.
    pub(super) until_met: Vec<bool>,
    /// Events as read, while a condition needs them or nothing handles them.
    pub(super) taken: Vec<V>,
    /// Events that wait to be handled.
    pub(super) queue: VecDeque<V>,
    /// The event being handled.
    pub(super) item: Option<V>,
    pub(super) index: u32,
    /// Results of handling events.
    pub(super) outputs: Vec<V>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trying<V = Val> {
    pub(super) attempt: u32,
    /// When the first error was caught.
    pub(super) since: i64,
    pub(super) phase: Phase,
    pub(super) error: Option<V>,
    /// Timer of the pause before the next attempt, or of the attempt.
    pub(super) timer: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    Trying,
    Pausing,
    Catching,
}

/// An operation whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pending {
    Call { frame: FrameId },
    Emit { frame: FrameId },
    Listen { frame: FrameId },
    Timer { at: i64, purpose: Purpose },
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    Wait(FrameId),
    Retry(FrameId),
    AttemptTimeout(FrameId),
    TaskTimeout(FrameId),
    RunTimeout,
}

impl Pending {
    pub(super) fn frame(self) -> Option<FrameId> {
        match self {
            Self::Call { frame } | Self::Emit { frame } | Self::Listen { frame } => Some(frame),
            Self::Timer { purpose, .. } => match purpose {
                Purpose::Wait(frame)
                | Purpose::Retry(frame)
                | Purpose::AttemptTimeout(frame)
                | Purpose::TaskTimeout(frame) => Some(frame),
                Purpose::RunTimeout => None,
            },
        }
    }
}

impl Body {
    pub(super) fn new(run_id: String, now: i64, input: Val) -> Self {
        Self {
            run_id,
            started_at: now,
            input,
            context: Val::Null,
            frames: BTreeMap::new(),
            frame_next: 0,
            pending: BTreeMap::new(),
            op_next: 1,
            consumed: VecDeque::new(),
            held: None,
        }
    }

    /// Whether something is being performed, as opposed to waited for.
    pub(super) fn is_busy(&self) -> bool {
        self.pending.values().any(|pending| matches!(pending, Pending::Call { .. } | Pending::Emit { .. }))
    }

    pub(super) fn has_consumed(&self, event: &Val) -> bool {
        identity(event).is_some_and(|identity| self.consumed.contains(&identity))
    }

    pub(super) fn consume(&mut self, event: &Val) {
        if let Some(identity) = identity(event) {
            self.consumed.push_back(identity);
            while self.consumed.len() > CONSUMED_MAX {
                self.consumed.pop_front();
            }
        }
    }
}

/// Source and id, which together tell events apart.
fn identity(event: &Val) -> Option<String> {
    let id = event.get("id")?.as_str()?;
    let source = event.get("source").and_then(Val::as_str).unwrap_or_default();
    Some(format!("{source} {id}"))
}
