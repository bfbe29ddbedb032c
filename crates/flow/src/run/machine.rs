//! The machine: starts tasks, moves data between them, and lets faults climb until something catches them.
//!
//! Invariant: all work of one input is done before `apply` returns, in first-in-first-out order, and is bounded.
//! Not here: what each kind of task does (`kinds`) and inputs from outside (`inputs`).

use std::collections::VecDeque;

use super::data::{check, evaluated_delay, expression};
use super::env::Env;
use super::state::{Body, Frame, FrameId, Origin, Pending, Purpose, State, Work};
use super::{JUMPS_PER_INPUT_MAX, TASKS_PER_INPUT_MAX};
use crate::history::Tracer;
use crate::jq::Val;
use crate::model::{Block, Data, Delay, Kind, Task, TaskId, Then};
use crate::{Command, Definition, Fault, FaultKind, Outcome};

/// Tasks inside tasks; functions that call themselves end here.
const NESTING_MAX: u32 = 100;

pub(super) struct Machine<'m> {
    pub(super) def: &'m Definition,
    pub(super) now: i64,
    pub(super) body: Box<Body>,
    commands: Vec<Command>,
    pub(super) tracer: Option<&'m mut dyn Tracer>,
    pub(super) work: VecDeque<Work>,
    tasks_left: u32,
    jumps_left: u32,
    pub(super) outcome: Option<Outcome>,
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
            // a retry takes the operations of a faulted run up again, under their numbers
            let abandoned = self.body.pending().keys().map(|op| Command::Abandon { op: *op });
            self.commands.extend(abandoned);
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
        self.body.open(op, Pending::Timer { at, purpose });
        self.command(Command::Timer { op, at });
        op
    }

    pub(super) fn abandon(&mut self, op: u64) {
        if self.body.close(op).is_some() {
            self.command(Command::Abandon { op });
        }
    }

    // ---- looking around

    pub(super) fn task_of(&self, frame: &Frame) -> &'m Task {
        &self.def.model.tasks[frame.task as usize]
    }

    pub(super) fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.body.frames().get(&id)
    }

    pub(super) fn kind_of(&self, id: FrameId) -> Option<&'m Kind> {
        self.frame(id).map(|frame| &self.task_of(frame).kind)
    }

    /// The surroundings of a task's expressions.
    pub(super) fn env<'e>(&'e self, frame: &'e Frame) -> Env<'e> {
        Env::of_task(self.def, &self.body, frame)
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

    /// Counts something that could go on for ever; false when it has.
    pub(super) fn jump(&mut self) -> bool {
        self.jumps_left = self.jumps_left.saturating_sub(1);
        self.jumps_left > 0
    }

    pub(super) fn work(&mut self) {
        while !self.is_over()
            && let Some(work) = self.work.pop_front()
        {
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
                Work::Finish { raw } => self.finish(raw),
                _ => {} // its task is gone by now
            }
        }
    }

    // ---- a task begins

    fn enter(&mut self, parent: Option<FrameId>, task: TaskId, raw: Val) {
        let id = self.body.frame_next;
        self.body.frame_next += 1;
        let depth = parent.and_then(|parent| self.frame(parent)).map_or(0, |parent| parent.depth + 1);
        let input = raw.clone();
        let started_at = self.now;
        let state = State::Inside;
        let (timeout, extended) = (None, Vec::new());
        let frame = Frame { parent, task, depth, raw, input, started_at, timeout, extended, state };
        self.body.add_frame(id, frame);
        self.tasks_left -= 1;
        if self.tasks_left == 0 {
            let detail = format!("more than {TASKS_PER_INPUT_MAX} tasks began without waiting");
            return self.give_up(Origin::Task(id), Some(id), Fault::new(FaultKind::Runtime, detail));
        }
        self.begin(id);
    }

    /// Begins a task that has its frame and its raw input.
    pub(super) fn begin(&mut self, id: FrameId) {
        let Some(frame) = self.frame(id) else { return };
        let (parent, task_id, task) = (frame.parent, frame.task, self.task_of(frame));
        let too_deep = frame.depth > NESTING_MAX;
        match self.is_wanted(id, task) {
            Ok(true) => {}
            Ok(false) => {
                let raw = self.body.take_frame(id).map(|frame| frame.raw).unwrap_or_default();
                return self.flow(parent, task_id, raw, Then::Continue);
            }
            Err(fault) => {
                self.trace_start(id);
                return self.fail(id, fault);
            }
        }
        let prepared = self.prepare(id, task);
        self.trace_start(id);
        if too_deep {
            let detail = format!("tasks are nested deeper than {NESTING_MAX}");
            return self.fail(id, Fault::new(FaultKind::Runtime, detail));
        }
        if let Err(fault) = prepared.and_then(|()| self.perform_extended(id, task)) {
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
            if let Some(frame) = self.body.frame_mut(id) {
                frame.input = input;
            }
        }
        if let Some(delay) = &task.timeout {
            let after = self.delay(id, delay)?;
            let op = self.timer(after, Purpose::TaskTimeout(id));
            if let Some(frame) = self.body.frame_mut(id) {
                frame.timeout = Some(op);
            }
        }
        Ok(())
    }

    // ---- a task ends

    fn leave(&mut self, id: FrameId, raw_output: Val, then: Then) {
        match self.transform(id, &raw_output) {
            Ok(output) => self.follow(id, 0, output, then),
            Err(fault) => self.faulted(id, fault),
        }
    }

    /// A task has its output, and nothing follows it any more.
    pub(super) fn conclude(&mut self, id: FrameId, output: Val, then: Then) {
        self.completed(id, &output);
        if let Some(frame) = self.remove(id) {
            self.flow(frame.parent, frame.task, output, then);
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
        self.abandon_ops(id);
        self.body.take_frame(id)
    }

    /// Abandons what one frame waits for.
    pub(super) fn abandon_ops(&mut self, id: FrameId) {
        let ops: Vec<u64> = self.body.index().ops(id).collect();
        for op in ops {
            self.abandon(op);
        }
    }

    /// Cancels everything inside a frame.
    pub(super) fn clear_inside(&mut self, id: FrameId) {
        for inner in self.body.index().descendants(id) {
            self.abandon_ops(inner);
            self.cancelled(inner);
            self.body.take_frame(inner);
        }
    }

    /// Where the flow goes after a task of the block `parent` holds.
    pub(super) fn flow(&mut self, parent: Option<FrameId>, task: TaskId, output: Val, then: Then) {
        if then == Then::Exit
            && let Some(parent) = parent.filter(|parent| self.is_preceded(*parent))
        {
            return self.skip_extended(parent, output);
        }
        let ordinary = self.def.model.tasks[task as usize].next;
        let next = match then {
            Then::End => {
                self.close_around(parent, &output);
                return self.finish(output);
            }
            Then::Exit => None,
            Then::Continue => ordinary,
            Then::Task(target) => {
                if target <= task && !self.jump() {
                    self.start(parent, target, output); // for a retry
                    return self.go_round(Origin::Run, parent);
                }
                Some(target)
            }
        };
        let is_branch = parent.is_some_and(|parent| self.is_forked(parent));
        match (next, parent) {
            (Some(next), _) if !is_branch => self.start(parent, next, output),
            (_, Some(parent)) => self.inside_done(parent, task, output),
            (_, None) => self.finish(output),
        }
    }

    /// Tasks around one that ends the run are done with it.
    fn close_around(&mut self, mut parent: Option<FrameId>, output: &Val) {
        while let Some(id) = parent {
            self.completed(id, output);
            parent = self.body.take_frame(id).and_then(|frame| frame.parent);
        }
    }

    pub(super) fn start_block(&mut self, parent: FrameId, block: &Block, raw: Val) {
        match block.first() {
            Some(first) => self.start(Some(parent), *first, raw),
            None => self.done(parent, raw),
        }
    }

    // ---- the run ends

    pub(super) fn finish(&mut self, raw: Val) {
        let model = &self.def.model;
        let env = Env::of_run(self.def, &self.body);
        let shaped = model.output.shape.as_ref().map(|shape| shape.eval(&raw, &env).map_err(expression));
        let output = shaped.transpose().map(|shaped| shaped.unwrap_or_else(|| raw.clone()));
        let checked = output.and_then(|output| check(&model.output, &output, "output").map(|()| output));
        match checked {
            Ok(output) => self.end(Outcome::Completed(output.to_json())),
            Err(fault) => {
                self.work.push_back(Work::Finish { raw }); // for a retry
                self.finish_faulted(Origin::Run, fault.at("/output"));
            }
        }
    }

    /// Ends the run for good; tasks still under way are cancelled.
    pub(super) fn end(&mut self, outcome: Outcome) {
        if self.tracer.is_some() {
            for id in self.open_frames() {
                self.cancelled(id);
            }
        }
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
