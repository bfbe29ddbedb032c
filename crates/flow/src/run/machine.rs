//! The machine: starts tasks, moves data between them, and lets faults climb until something catches them.
//!
//! Invariant: all work of one input is done before `apply` returns, in first-in-first-out order, and is bounded.
//! Not here: what each kind of task does (`kinds`) and inputs from outside (`inputs`).

use std::collections::{BTreeSet, VecDeque};

use super::data::{check, evaluated_delay, expression};
use super::env::Env;
use super::state::{Body, Frame, FrameId, Pending, Purpose, State};
use super::{JUMPS_PER_INPUT_MAX, TASKS_PER_INPUT_MAX};
use crate::history::{TaskStart, Tracer};
use crate::jq::Val;
use crate::model::{Block, Data, Delay, Kind, Task, TaskId, Then};
use crate::{Command, Definition, Fault, FaultKind, Outcome, Status};

/// Tasks inside tasks; functions that call themselves end here.
const NESTING_MAX: u32 = 100;

/// Something that is to be done next.
enum Work {
    Start { parent: Option<FrameId>, task: TaskId, raw: Val },
    Done { frame: FrameId, output: Val, then: Then },
    Fail { frame: FrameId, fault: Fault },
}

pub(super) struct Machine<'m> {
    pub(super) def: &'m Definition,
    pub(super) now: i64,
    pub(super) body: Box<Body>,
    commands: Vec<Command>,
    tracer: Option<&'m mut dyn Tracer>,
    work: VecDeque<Work>,
    tasks_left: u32,
    jumps_left: u32,
    outcome: Option<Outcome>,
}

impl<'m> Machine<'m> {
    pub(super) fn new(
        def: &'m Definition,
        now: i64,
        body: Box<Body>,
        tracer: Option<&'m mut dyn Tracer>,
    ) -> Self {
        Self {
            def,
            now,
            body,
            commands: Vec::new(),
            tracer,
            work: VecDeque::new(),
            tasks_left: TASKS_PER_INPUT_MAX,
            jumps_left: JUMPS_PER_INPUT_MAX,
            outcome: None,
        }
    }

    pub(super) fn into_parts(mut self) -> (Box<Body>, Vec<Command>) {
        if let Some(outcome) = self.outcome.take() {
            self.abandon_all();
            self.commands.push(Command::Finish(outcome));
        }
        (self.body, self.commands)
    }

    // ---- commands and operations

    pub(super) fn next_op(&mut self) -> u64 {
        let op = self.body.op_next;
        self.body.op_next += 1;
        op
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(super) fn timer(&mut self, delay_ms: i64, purpose: Purpose) -> u64 {
        let (op, at) = (self.next_op(), self.now.saturating_add(delay_ms));
        self.body.pending.insert(op, Pending::Timer { at, purpose });
        self.command(Command::Timer { op, at });
        op
    }

    pub(super) fn abandon(&mut self, op: u64) {
        if self.body.pending.remove(&op).is_some() {
            self.command(Command::Abandon { op });
        }
    }

    fn abandon_all(&mut self) {
        let ops: Vec<u64> = self.body.pending.keys().copied().collect();
        for op in ops {
            self.abandon(op);
        }
    }

    // ---- looking around

    pub(super) fn task_of(&self, frame: &Frame) -> &'m Task {
        &self.def.model.tasks[frame.task as usize]
    }

    pub(super) fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.body.frames.get(&id)
    }

    pub(super) fn kind_of(&self, id: FrameId) -> Option<&'m Kind> {
        self.frame(id).map(|frame| &self.task_of(frame).kind)
    }

    /// The surroundings of a task's expressions.
    pub(super) fn env<'e>(&'e self, frame: &'e Frame) -> Env<'e> {
        Env::of_task(self.def, &self.body, frame)
    }

    pub(super) fn status(
        &mut self,
        frame: FrameId,
        status: Status,
        output: Option<&Val>,
        error: Option<&Fault>,
    ) {
        if let Some(tracer) = &mut self.tracer {
            let output = output.map(Val::to_json);
            tracer.changed(u64::from(frame), status, self.now, output.as_ref(), error);
        }
    }

    // ---- work

    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    pub(super) fn start(&mut self, parent: Option<FrameId>, task: TaskId, raw: Val) {
        self.work.push_back(Work::Start { parent, task, raw });
    }

    pub(super) fn done(&mut self, frame: FrameId, output: Val) {
        let then = self.frame(frame).map_or(Then::Continue, |frame| self.task_of(frame).then);
        self.done_then(frame, output, then);
    }

    pub(super) fn done_then(&mut self, frame: FrameId, output: Val, then: Then) {
        self.work.push_back(Work::Done { frame, output, then });
    }

    pub(super) fn fail(&mut self, frame: FrameId, fault: Fault) {
        self.work.push_back(Work::Fail { frame, fault });
    }

    /// Counts something that could go on for ever.
    pub(super) fn jump(&mut self, frame: Option<FrameId>) -> bool {
        self.jumps_left = self.jumps_left.saturating_sub(1);
        if self.jumps_left == 0 {
            let detail = format!(
                "the tasks go round in circles: more than {JUMPS_PER_INPUT_MAX} jumps back without waiting"
            );
            self.give_up(frame, Fault::new(FaultKind::Runtime, detail));
        }
        self.jumps_left > 0
    }

    /// Ends the run; a limit was reached that catching would only reach again.
    fn give_up(&mut self, frame: Option<FrameId>, fault: Fault) {
        let reference =
            frame.and_then(|id| self.frame(id)).map(|frame| self.task_of(frame).reference.as_str());
        self.finish_faulted(fault.at(reference.unwrap_or("/")));
    }

    pub(super) fn work(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Start { parent, task, raw }
                    if parent.is_none_or(|parent| self.frame(parent).is_some()) =>
                {
                    self.enter(parent, task, raw);
                }
                Work::Done { frame, output, then } if self.frame(frame).is_some() => {
                    self.leave(frame, output, then);
                }
                Work::Fail { frame, fault } if self.frame(frame).is_some() => self.faulted(frame, fault),
                _ => {} // its task is gone by now
            }
            if self.is_over() {
                self.work.clear();
            }
        }
    }

    // ---- a task begins

    fn enter(&mut self, parent: Option<FrameId>, task_id: TaskId, raw: Val) {
        let id = self.body.frame_next;
        self.body.frame_next += 1;
        let depth = parent.and_then(|parent| self.frame(parent)).map_or(0, |parent| parent.depth + 1);
        let (task, started_at) = (task_id, self.now);
        let frame = Frame {
            parent,
            task,
            depth,
            input: raw.clone(),
            raw,
            started_at,
            timeout: None,
            state: State::Inside,
        };
        let task = self.task_of(&frame);
        self.body.frames.insert(id, frame);
        self.tasks_left -= 1;
        if self.tasks_left == 0 {
            let detail = format!("more than {TASKS_PER_INPUT_MAX} tasks began without waiting");
            return self.give_up(Some(id), Fault::new(FaultKind::Runtime, detail));
        }
        match self.is_wanted(id, task) {
            Ok(true) => {}
            Ok(false) => {
                let raw = self.body.frames.remove(&id).map(|frame| frame.raw).unwrap_or_default();
                return self.flow(parent, task_id, raw, Then::Continue);
            }
            Err(fault) => {
                self.trace_start(id);
                return self.fail(id, fault);
            }
        }
        let prepared = self.prepare(id, task);
        self.trace_start(id);
        if depth > NESTING_MAX {
            return self.fail(
                id,
                Fault::new(FaultKind::Runtime, format!("tasks are nested deeper than {NESTING_MAX}")),
            );
        }
        if let Err(fault) = prepared.and_then(|()| self.perform(id, task)) {
            self.fail(id, fault);
        }
    }

    fn is_wanted(&self, id: FrameId, task: &Task) -> Result<bool, Fault> {
        let (Some(condition), Some(frame)) = (&task.condition, self.frame(id)) else { return Ok(true) };
        condition.eval(frame.raw.clone(), &self.env(frame)).map(|val| val.truthy()).map_err(expression)
    }

    /// Validates and transforms the input, and starts the clock.
    fn prepare(&mut self, id: FrameId, task: &Task) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        check(&task.input, &frame.raw, "input")?;
        if let Some(shape) = &task.input.shape {
            let input = shape.eval(&frame.raw, &self.env(frame)).map_err(expression)?;
            if let Some(frame) = self.body.frames.get_mut(&id) {
                frame.input = input;
            }
        }
        if let Some(delay) = &task.timeout {
            let after = self.delay(id, delay)?;
            let op = self.timer(after, Purpose::TaskTimeout(id));
            if let Some(frame) = self.body.frames.get_mut(&id) {
                frame.timeout = Some(op);
            }
        }
        Ok(())
    }

    fn trace_start(&mut self, id: FrameId) {
        if self.tracer.is_none() {
            return;
        }
        let Some(frame) = self.body.frames.get(&id) else { return };
        let parent = frame.parent.and_then(|parent| self.body.frames.get(&parent));
        let (attempt, round) = match parent.map(|parent| &parent.state) {
            Some(State::Try(trying)) => (trying.attempt, 0),
            Some(State::For { index, .. }) => (1, *index),
            Some(State::Listen(listening)) => (1, listening.index),
            _ => (1, 0),
        };
        let task = &self.def.model.tasks[frame.task as usize];
        let input = frame.input.to_json();
        let start = TaskStart {
            instance: u64::from(id),
            parent: frame.parent.map(u64::from),
            parent_attempt: attempt,
            round,
            name: &task.name,
            reference: &task.reference,
            input: &input,
        };
        if let Some(tracer) = &mut self.tracer {
            tracer.started(&start, self.now);
        }
    }

    // ---- a task ends

    fn leave(&mut self, id: FrameId, raw_output: Val, then: Then) {
        match self.transform(id, &raw_output) {
            Ok(output) => {
                self.status(id, Status::Completed, Some(&output), None);
                if let Some(frame) = self.remove(id) {
                    self.flow(frame.parent, frame.task, output, then);
                }
            }
            Err(fault) => self.faulted(id, fault),
        }
    }

    /// Output and context of a task that is done.
    fn transform(&mut self, id: FrameId, raw_output: &Val) -> Result<Val, Fault> {
        let Some(frame) = self.frame(id) else { return Ok(Val::Null) };
        let task = self.task_of(frame);
        self.reshape(id, &task.output, &task.export, raw_output)
    }

    /// Applies `output` and `export` to a result.
    pub(super) fn reshape(
        &mut self,
        id: FrameId,
        output: &Data,
        export: &Data,
        raw: &Val,
    ) -> Result<Val, Fault> {
        let Some(frame) = self.frame(id) else { return Ok(Val::Null) };
        let env = Env { raw_output: Some(raw), ..self.env(frame) };
        let shaped = output.shape.as_ref().map(|shape| shape.eval(raw, &env).map_err(expression));
        let result = shaped.transpose()?.unwrap_or_else(|| raw.clone());
        check(output, &result, "output")?;
        if let Some(shape) = &export.shape {
            let context = shape.eval(&result, &Env { output: Some(&result), ..env }).map_err(expression)?;
            check(export, &context, "exported context")?;
            self.body.context = context;
        } else {
            check(export, &self.body.context, "exported context")?;
        }
        Ok(result)
    }

    /// Takes a frame out, with everything inside it and everything they wait for.
    pub(super) fn remove(&mut self, id: FrameId) -> Option<Frame> {
        self.clear_inside(id);
        let ops: Vec<u64> = self.ops_of(&BTreeSet::from([id]));
        for op in ops {
            self.abandon(op);
        }
        self.body.frames.remove(&id)
    }

    fn ops_of(&self, frames: &BTreeSet<FrameId>) -> Vec<u64> {
        let owned = |pending: &Pending| pending.frame().is_some_and(|frame| frames.contains(&frame));
        self.body.pending.iter().filter(|(_, pending)| owned(pending)).map(|(op, _)| *op).collect()
    }

    /// Cancels everything inside a frame.
    pub(super) fn clear_inside(&mut self, id: FrameId) {
        let mut doomed = BTreeSet::from([id]);
        for (inner, frame) in self.body.frames.range(id + 1..) {
            if frame.parent.is_some_and(|parent| doomed.contains(&parent)) {
                doomed.insert(*inner);
            }
        }
        doomed.remove(&id);
        if doomed.is_empty() {
            return;
        }
        self.ops_of(&doomed).into_iter().for_each(|op| self.abandon(op));
        for inner in doomed {
            self.status(inner, Status::Cancelled, None, None);
            self.body.frames.remove(&inner);
        }
    }

    /// Where the flow goes after a task of the block `parent` holds.
    pub(super) fn flow(&mut self, parent: Option<FrameId>, task: TaskId, output: Val, then: Then) {
        let ordinary = self.def.model.tasks[task as usize].next;
        let next = match then {
            Then::End => {
                self.close_around(parent, &output);
                return self.finish(output);
            }
            Then::Exit => None,
            Then::Continue => ordinary,
            Then::Task(target) => {
                if target <= task && !self.jump(parent) {
                    return;
                }
                Some(target)
            }
        };
        let is_branch = parent.is_some_and(|parent| matches!(self.kind_of(parent), Some(Kind::Fork(_))));
        match (next, parent) {
            (Some(next), _) if !is_branch => self.start(parent, next, output),
            (_, Some(parent)) => self.inside_done(parent, task, output),
            (_, None) => self.finish(output),
        }
    }

    /// Tasks around one that ends the run are done with it.
    fn close_around(&mut self, mut parent: Option<FrameId>, output: &Val) {
        while let Some(id) = parent {
            self.status(id, Status::Completed, Some(output), None);
            parent = self.body.frames.remove(&id).and_then(|frame| frame.parent);
        }
    }

    pub(super) fn start_block(&mut self, parent: FrameId, block: &Block, raw: Val) {
        match block.first() {
            Some(first) => self.start(Some(parent), *first, raw),
            None => self.done(parent, raw),
        }
    }

    // ---- faults

    fn faulted(&mut self, id: FrameId, fault: Fault) {
        let Some(frame) = self.frame(id) else { return };
        let fault = fault.at(&self.task_of(frame).reference);
        self.status(id, Status::Faulted, None, Some(&fault));
        let parent = self.remove(id).and_then(|frame| frame.parent);
        match parent {
            None => self.finish_faulted(fault),
            Some(parent) => match self.frame(parent).map(|frame| &frame.state) {
                Some(State::Try(_)) => self.caught(parent, fault),
                _ => self.fail(parent, fault),
            },
        }
    }

    // ---- the run ends

    pub(super) fn finish(&mut self, raw: Val) {
        let model = &self.def.model;
        let env = Env::of_run(self.def, &self.body);
        let shaped = model.output.shape.as_ref().map(|shape| shape.eval(&raw, &env).map_err(expression));
        let output = shaped.transpose().map(|shaped| shaped.unwrap_or(raw));
        let checked = output.and_then(|output| check(&model.output, &output, "output").map(|()| output));
        match checked {
            Ok(output) => self.end(Status::Cancelled, Outcome::Completed(output.to_json())),
            Err(fault) => self.finish_faulted(fault.at("/output")),
        }
    }

    pub(super) fn finish_faulted(&mut self, fault: Fault) {
        self.end(Status::Faulted, Outcome::Faulted(fault));
    }

    /// Ends the run; tasks still under way get `status`.
    pub(super) fn end(&mut self, status: Status, outcome: Outcome) {
        let open: Vec<FrameId> = self.body.frames.keys().copied().collect();
        let error = if let Outcome::Faulted(fault) = &outcome { Some(fault.clone()) } else { None };
        for id in open {
            self.status(id, status, None, error.as_ref());
        }
        self.body.frames.clear();
        self.work.clear();
        self.outcome = Some(outcome);
    }

    // ---- values

    /// A duration in milliseconds.
    pub(super) fn delay(&self, id: FrameId, delay: &Delay) -> Result<i64, Fault> {
        match (delay, self.frame(id)) {
            (Delay::Fixed(ms), _) => Ok(*ms),
            (Delay::Expr(template), Some(frame)) => evaluated_delay(template, &frame.input, &self.env(frame)),
            (Delay::Expr(_), None) => Ok(0),
        }
    }
}
