//! Snapshots: a run as bytes, each value once.
//!
//! Invariant: what is restored equals what was saved, and values that were shared are shared again.
//! Not here: journals; folding one gives the same state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Run;
use super::state::{Body, Cancelling, Failed, Frame, Listening, State, Trying, Work};
use crate::Status;
use crate::jq::Val;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    status: Status,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<Val>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Box<Body<u32>>>,
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = Table::default();
        let body = self.body.as_ref().map(|body| Box::new(body.map(&mut |val| table.position(val))));
        Snapshot { status: self.status, values: table.values, body }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let snapshot = Snapshot::deserialize(deserializer)?;
        let mut missing = false;
        let body = snapshot.body.map(|body| {
            let body = body.map(&mut |position| {
                let val = snapshot.values.get(*position as usize);
                missing |= val.is_none();
                val.cloned().unwrap_or_default()
            });
            Box::new(body.indexed())
        });
        if missing {
            return Err(D::Error::custom("the snapshot refers to a value it does not hold"));
        }
        Ok(Self { status: snapshot.status, body })
    }
}

/// Values by identity.
#[derive(Default)]
pub(crate) struct Table {
    values: Vec<Val>,
    known: BTreeMap<usize, u32>,
}

impl Table {
    pub(crate) fn into_values(self) -> Vec<Val> {
        self.values
    }

    /// Where the value is in the table.
    pub(crate) fn position(&mut self, val: &Val) -> u32 {
        let address = match val {
            Val::Str(text) => Some(Arc::as_ptr(text).addr()),
            Val::Arr(array) => Some(Arc::as_ptr(array).addr()),
            Val::Obj(object) => Some(Arc::as_ptr(object).addr()),
            _ => None,
        };
        let next = self.values.len() as u32;
        let position = address.map_or(next, |address| *self.known.entry(address).or_insert(next));
        if position == next {
            self.values.push(val.clone());
        }
        position
    }
}

impl<A> Cancelling<A> {
    pub(super) fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> Cancelling<B> {
        let bound = self.bound.iter().map(|(name, val)| (name.clone(), f(val))).collect();
        Cancelling { since: self.since, bound }
    }
}

impl<A> Failed<A> {
    pub(super) fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> Failed<B> {
        let work = self.work.iter().map(|work| work.map(f)).collect();
        Failed { origin: self.origin, work, rest: self.rest.clone() }
    }
}

impl<A> Work<A> {
    fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> Work<B> {
        match self {
            Self::Start { parent, task, raw } => Work::Start { parent: *parent, task: *task, raw: f(raw) },
            Self::Done { frame, output, then } => {
                Work::Done { frame: *frame, output: f(output), then: *then }
            }
            Self::Fail { frame, fault } => Work::Fail { frame: *frame, fault: fault.clone() },
            Self::Finish { raw } => Work::Finish { raw: f(raw) },
        }
    }
}

impl<A> Frame<A> {
    pub(super) fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> Frame<B> {
        Frame {
            parent: self.parent,
            task: self.task,
            depth: self.depth,
            raw: f(&self.raw),
            input: f(&self.input),
            started_at: self.started_at,
            timeout: self.timeout,
            extended: self.extended.clone(),
            state: self.state.map(f),
        }
    }
}

impl<A> State<A> {
    fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> State<B> {
        match self {
            Self::Inside => State::Inside,
            Self::Wait { op } => State::Wait { op: *op },
            Self::Call { op, request, body, authentication } => State::Call {
                op: *op,
                request: request.clone(),
                body: body.as_ref().map(f),
                authentication: authentication.clone(),
            },
            Self::Asked { op, asked } => State::Asked { op: *op, asked: asked.clone() },
            Self::Answered { authorization } => State::Answered { authorization: f(authorization) },
            Self::Emit { op, event } => State::Emit { op: *op, event: f(event) },
            Self::Listen(listening) => State::Listen(Box::new(listening.map(f))),
            Self::Try(trying) => State::Try(Box::new(Trying {
                attempt: trying.attempt,
                since: trying.since,
                phase: trying.phase,
                error: trying.error.as_ref().map(f),
                timer: trying.timer,
            })),
            Self::For { items, index, item } => State::For { items: f(items), index: *index, item: f(item) },
            Self::Before { turn } => State::Before { turn: *turn },
            Self::After { turn, output, then } => {
                State::After { turn: *turn, output: f(output), then: *then }
            }
            Self::Fork { outputs, open } => State::Fork {
                outputs: outputs.iter().map(|(task, val)| (*task, f(val))).collect(),
                open: *open,
            },
        }
    }
}

impl<A> Listening<A> {
    fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> Listening<B> {
        let mut named =
            |pairs: &[(String, A)]| pairs.iter().map(|(name, val)| (name.clone(), f(val))).collect();
        let (bound, learned) = (named(&self.bound), named(&self.learned));
        Listening {
            op: self.op,
            since: self.since,
            bound,
            learned,
            met: self.met.clone(),
            until_met: self.until_met.clone(),
            taken: f(&self.taken),
            queue: self.queue.iter().map(&mut *f).collect(),
            item: self.item.as_ref().map(&mut *f),
            index: self.index,
            outputs: self.outputs.iter().map(f).collect(),
        }
    }
}
