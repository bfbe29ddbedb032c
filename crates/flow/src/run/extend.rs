//! Extensions: tasks before and after tasks.
//!
//! Invariant: they see the task's data and pass on none of their own, but for one that leaves by `exit` before the
//! task: then that is all the task was. What is part of an extension is not extended. Not here: which kinds of task
//! an extension is for (`parse`).

use super::env::Env;
use super::machine::Machine;
use super::state::{FrameId, State};
use crate::Fault;
use crate::jq::Val;
use crate::model::{Block, Kind, Task, Then};

impl<'m> Machine<'m> {
    /// Begins a task with the extensions that apply to it.
    pub(super) fn perform_extended(&mut self, id: FrameId, task: &'m Task) -> Result<(), Fault> {
        if task.extensions.is_empty() || self.is_in_extension(id) {
            return self.perform(id, task);
        }
        let applying =
            task.extensions.iter().copied().filter(|extension| self.applies(id, *extension)).collect();
        if let Some(frame) = self.body.frame_mut(id) {
            frame.extended = applying;
        }
        self.precede(id, 0)
    }

    fn is_in_extension(&self, id: FrameId) -> bool {
        let mut next = self.frame(id).and_then(|frame| frame.parent);
        while let Some(frame) = next.and_then(|id| self.frame(id)) {
            if matches!(frame.state, State::Before { .. } | State::After { .. }) {
                return true;
            }
            next = frame.parent;
        }
        false
    }

    /// A condition that cannot be evaluated for a task is not met by it: it may be written for tasks of another shape.
    fn applies(&self, id: FrameId, extension: u32) -> bool {
        let Some(when) = &self.def.model.extensions[extension as usize].when else { return true };
        let Some(frame) = self.frame(id) else { return false };
        let env = Env { extending: true, ..self.env(frame) };
        when.eval(frame.input.clone(), &env).is_ok_and(|val| val.truthy())
    }

    /// The tasks of an extension whose turn it is, and how many have had theirs then.
    fn turn(
        &self,
        id: FrameId,
        from: u32,
        block: fn(&Self, u32) -> &'m Block,
        back: bool,
    ) -> Option<(u32, &'m Block)> {
        let extended = &self.frame(id)?.extended;
        let count = extended.len() as u32;
        (from..count).find_map(|turn| {
            let position = if back { count - 1 - turn } else { turn };
            let block = block(self, extended[position as usize]);
            (!block.is_empty()).then_some((turn + 1, block))
        })
    }

    fn before(&self, extension: u32) -> &'m Block {
        &self.def.model.extensions[extension as usize].before
    }

    fn after(&self, extension: u32) -> &'m Block {
        &self.def.model.extensions[extension as usize].after
    }

    /// Begins what comes before the task, in the order of the extensions, then the task.
    fn precede(&mut self, id: FrameId, from: u32) -> Result<(), Fault> {
        let Some((turn, block)) = self.turn(id, from, Self::before, false) else {
            self.set_state(id, State::Inside);
            let Some(frame) = self.frame(id) else { return Ok(()) };
            let task = self.task_of(frame);
            return self.perform(id, task);
        };
        self.set_state(id, State::Before { turn });
        let input = self.frame(id).map(|frame| frame.input.clone()).unwrap_or_default();
        self.start_block(id, block, input);
        Ok(())
    }

    /// Begins what comes after the task, in the opposite order, then lets the flow go on.
    pub(super) fn follow(&mut self, id: FrameId, from: u32, output: Val, then: Then) {
        let Some((turn, block)) = self.turn(id, from, Self::after, true) else {
            return self.conclude(id, output, then);
        };
        self.set_state(id, State::After { turn, output: output.clone(), then });
        self.start_block(id, block, output);
    }

    /// Whether what was done inside `id` was part of an extension.
    pub(super) fn extension_done(&mut self, id: FrameId) -> bool {
        match self.frame(id).map(|frame| &frame.state) {
            Some(State::Before { turn }) => {
                if let Err(fault) = self.precede(id, *turn) {
                    self.fail(id, fault);
                }
                true
            }
            Some(State::After { turn, output, then }) => {
                let (turn, output, then) = (*turn, output.clone(), *then);
                self.follow(id, turn, output, then);
                true
            }
            _ => false,
        }
    }

    /// Whether an extension's tasks before `id` are under way.
    pub(super) fn is_preceded(&self, id: FrameId) -> bool {
        matches!(self.frame(id).map(|frame| &frame.state), Some(State::Before { .. }))
    }

    /// An extension leaves before the task: its output is the task's, and nothing follows.
    pub(super) fn skip_extended(&mut self, id: FrameId, output: Val) {
        if let Some(frame) = self.body.frame_mut(id) {
            frame.extended.clear();
            frame.state = State::Inside;
        }
        self.done(id, output);
    }

    /// Whether what is inside `id` are the branches of a fork.
    pub(super) fn is_forked(&self, id: FrameId) -> bool {
        let is_fork = matches!(self.kind_of(id), Some(Kind::Fork(_)));
        is_fork && matches!(self.frame(id).map(|frame| &frame.state), Some(State::Fork { .. }))
    }
}
