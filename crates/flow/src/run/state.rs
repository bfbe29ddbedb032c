//! The state of a run that is under way.
//!
//! Invariant: every pending operation belongs to a frame that exists, or to the run as a whole; a frame's parent is
//! older than the frame. Not here: what changes the state (`machine`).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::index::Index;
use crate::jq::Val;
use crate::model::{TaskId, Then};
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
    frames: BTreeMap<FrameId, Frame<V>>,
    pub(super) frame_next: FrameId,
    pending: BTreeMap<u64, Pending>,
    pub(super) op_next: u64,
    /// `$secrets`: stand-ins, once they are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secrets: Option<V>,
    /// How the run listens for events that cancel it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel: Option<Cancelling<V>>,
    /// How long the run may take, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) limit_ms: Option<i64>,
    /// Source and id of events consumed, oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) consumed: VecDeque<String>,
    /// While suspended: what arrived meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Vec<Input>>,
    /// After an error nobody caught: where a retry begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Failed<V>>,
    #[serde(skip)]
    index: Index,
}

/// The events that cancel a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cancelling<V = Val> {
    pub(super) since: i64,
    /// Variables of the filters, as they were when the run began.
    pub(super) bound: Vec<(String, V)>,
}

/// What is left of a run that faulted, beside its frames and operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Failed<V = Val> {
    pub(super) origin: Origin,
    /// Work that was not done any more.
    pub(super) work: Vec<Work<V>>,
    /// Inputs kept while suspended that were not handed over any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rest: Vec<Input>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// The beginning, before any task.
    Start { by_events: bool },
    /// A task.
    Task(FrameId),
    /// The run as a whole: its time was up, or it went round in circles.
    Run,
}

/// Something that is to be done next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work<V = Val> {
    Start {
        parent: Option<FrameId>,
        task: TaskId,
        raw: V,
    },
    Done {
        frame: FrameId,
        output: V,
        then: Then,
    },
    Fail {
        frame: FrameId,
        fault: crate::Fault,
    },
    /// The last task is done.
    Finish {
        raw: V,
    },
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
    /// Extensions that apply to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) extended: Vec<u32>,
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
    /// An extension's tasks come first; so many extensions have had their turn.
    Before {
        turn: u32,
    },
    /// An extension's tasks follow; then the flow goes on with this output.
    After {
        turn: u32,
        output: V,
        then: Then,
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
    pub(super) taken: V,
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
    Call {
        frame: FrameId,
    },
    Emit {
        frame: FrameId,
    },
    Listen {
        frame: FrameId,
    },
    /// What is waited for before the run goes on.
    Secrets {
        before: Before,
    },
    /// Events that cancel the run.
    Cancel,
    Timer {
        at: i64,
        purpose: Purpose,
    },
}

/// What comes after the secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Before {
    Start { by_events: bool },
    Retry,
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
    /// Whether it waits for events.
    pub(super) fn is_listen(self) -> bool {
        matches!(self, Self::Listen { .. } | Self::Cancel)
    }

    /// Whether it is performed, as opposed to waited for.
    pub(super) fn is_busy(self) -> bool {
        matches!(self, Self::Call { .. } | Self::Emit { .. } | Self::Secrets { .. })
    }

    pub(super) fn frame(self) -> Option<FrameId> {
        match self {
            Self::Call { frame } | Self::Emit { frame } | Self::Listen { frame } => Some(frame),
            Self::Secrets { .. } | Self::Cancel => None,
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
            secrets: None,
            cancel: None,
            limit_ms: None,
            consumed: VecDeque::new(),
            held: None,
            failed: None,
            index: Index::default(),
        }
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

impl<V> Body<V> {
    // Frames and operations are changed here only, so that the index always fits them.

    pub(super) fn frames(&self) -> &BTreeMap<FrameId, Frame<V>> {
        &self.frames
    }

    pub(super) fn frame_mut(&mut self, id: FrameId) -> Option<&mut Frame<V>> {
        self.frames.get_mut(&id)
    }

    pub(super) fn add_frame(&mut self, id: FrameId, frame: Frame<V>) {
        self.index.frame_added(id, frame.parent, frame.task);
        self.frames.insert(id, frame);
    }

    pub(super) fn take_frame(&mut self, id: FrameId) -> Option<Frame<V>> {
        let frame = self.frames.remove(&id)?;
        self.index.frame_taken(id, frame.parent);
        Some(frame)
    }

    pub(super) fn pending(&self) -> &BTreeMap<u64, Pending> {
        &self.pending
    }

    pub(super) fn open(&mut self, op: u64, pending: Pending) {
        self.close(op);
        self.index.op_opened(op, pending);
        self.pending.insert(op, pending);
    }

    pub(super) fn close(&mut self, op: u64) -> Option<Pending> {
        let pending = self.pending.remove(&op)?;
        self.index.op_closed(op, pending);
        Some(pending)
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Whether something is being performed, as opposed to waited for.
    pub(super) fn is_busy(&self) -> bool {
        self.index.is_busy()
    }

    /// The same with values of another kind.
    pub(super) fn map<B>(&self, f: &mut impl FnMut(&V) -> B) -> Body<B> {
        Body {
            run_id: self.run_id.clone(),
            started_at: self.started_at,
            input: f(&self.input),
            context: f(&self.context),
            frames: self.frames.iter().map(|(id, frame)| (*id, frame.map(f))).collect(),
            frame_next: self.frame_next,
            pending: self.pending.clone(),
            op_next: self.op_next,
            secrets: self.secrets.as_ref().map(&mut *f),
            cancel: self.cancel.as_ref().map(|cancel| cancel.map(f)),
            limit_ms: self.limit_ms,
            consumed: self.consumed.clone(),
            held: self.held.clone(),
            failed: self.failed.as_ref().map(|failed| failed.map(f)),
            index: self.index.clone(),
        }
    }

    /// Makes the index, which is not part of a snapshot.
    pub(super) fn indexed(mut self) -> Self {
        self.index = Index::default();
        for (id, frame) in &self.frames {
            self.index.frame_added(*id, frame.parent, frame.task);
        }
        for (op, pending) in &self.pending {
            self.index.op_opened(*op, *pending);
        }
        self
    }
}

/// Source and id, which together tell events apart.
fn identity(event: &Val) -> Option<String> {
    let id = event.get("id")?.as_str()?;
    let source = event.get("source").and_then(Val::as_str).unwrap_or_default();
    Some(format!("{source} {id}"))
}
