//! Which frames are inside which, and who waits for what: kept beside the state so that ending one task costs the same
//! however many others are under way.
//!
//! Invariant: it can be made again from frames and operations, and is never saved. Not here: the state (`state`).

use std::collections::BTreeSet;

use super::state::{FrameId, Pending};
use crate::model::TaskId;

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Parent and child.
    inside: BTreeSet<(FrameId, FrameId)>,
    /// Frame and operation.
    ops: BTreeSet<(FrameId, u64)>,
    listens: BTreeSet<u64>,
    /// Operations that are being performed, as opposed to waited for.
    busy: usize,
    /// More than any task of the definition that is under way.
    tasks: TaskId,
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        // `tasks` is a bound that may be higher in a run that was not restored
        self.inside == other.inside
            && self.ops == other.ops
            && self.listens == other.listens
            && self.busy == other.busy
    }
}

impl Index {
    pub(super) fn frame_added(&mut self, id: FrameId, parent: Option<FrameId>, task: TaskId) {
        if let Some(parent) = parent {
            self.inside.insert((parent, id));
        }
        self.tasks = self.tasks.max(task + 1);
    }

    pub(super) fn frame_taken(&mut self, id: FrameId, parent: Option<FrameId>) {
        if let Some(parent) = parent {
            self.inside.remove(&(parent, id));
        }
    }

    pub(super) fn op_opened(&mut self, op: u64, pending: Pending) {
        if let Some(frame) = pending.frame() {
            self.ops.insert((frame, op));
        }
        if pending.is_listen() {
            self.listens.insert(op);
        }
        self.busy += usize::from(pending.is_busy());
    }

    pub(super) fn op_closed(&mut self, op: u64, pending: Pending) {
        if let Some(frame) = pending.frame() {
            self.ops.remove(&(frame, op));
        }
        self.listens.remove(&op);
        self.busy -= usize::from(pending.is_busy());
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy > 0
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks as usize
    }

    /// Operations that wait for events, oldest first.
    pub(super) fn listens(&self) -> impl Iterator<Item = u64> + '_ {
        self.listens.iter().copied()
    }

    /// Operations of one frame, oldest first.
    pub(super) fn ops(&self, frame: FrameId) -> impl Iterator<Item = u64> + '_ {
        self.ops.range((frame, 0)..=(frame, u64::MAX)).map(|(_, op)| *op)
    }

    /// Everything inside a frame, at any depth, oldest first.
    pub(super) fn descendants(&self, frame: FrameId) -> Vec<FrameId> {
        let mut found = Vec::new();
        let mut open = vec![frame];
        while let Some(parent) = open.pop() {
            let children = self.inside.range((parent, 0)..=(parent, FrameId::MAX)).map(|(_, child)| *child);
            let before = found.len();
            found.extend(children);
            open.extend_from_slice(&found[before..]);
        }
        found.sort_unstable();
        found
    }
}
