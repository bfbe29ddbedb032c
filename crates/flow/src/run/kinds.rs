//! What each kind of task does when it begins, and when something inside it is done.
//!
//! Invariant: a task that begins either is done, fails, has something inside it, or has an operation pending.
//! Not here: calls (`http`), events (`listen`), errors (`catch`).

use std::collections::BTreeMap;

use super::data::{assemble, expression};
use super::machine::Machine;
use super::state::{FrameId, Pending, Phase, Purpose, State, Trying};
use crate::jq::Val;
use crate::model::{Case, ErrorTemplate, ForTask, ForkTask, Kind, Task, TaskId, Then};
use crate::template::Template;
use crate::{Command, Fault, FaultKind};

impl Machine<'_> {
    pub(super) fn perform(&mut self, id: FrameId, task: &Task) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let input = frame.input.clone();
        match &task.kind {
            Kind::Do(block) => self.start_block(id, block, input),
            Kind::Set(template) => {
                let output = template.eval(&input, &self.env(frame)).map_err(expression)?;
                self.done(id, output);
            }
            Kind::Switch(cases) => {
                let then = self.choose(id, cases, &input)?.unwrap_or(task.then);
                self.done_then(id, input, then);
            }
            Kind::Http(http) => self.call(id, http)?,
            Kind::OpenApi(call) => self.call_described(id, call)?,
            Kind::Process(process) => self.run_process(id, process)?,
            Kind::Child(child) => self.run_child(id, child)?,
            Kind::Function(function, with) => {
                let arguments = with.eval(&input, &self.env(frame)).map_err(expression)?;
                self.start(Some(id), *function, arguments);
            }
            Kind::Emit(template) => self.emit(id, template, &input)?,
            Kind::Listen(listen) => self.listen(id, listen)?,
            Kind::Wait(delay) => {
                let op = self.delay(id, delay)?;
                self.pause(id, op, input);
            }
            Kind::Try(_) => {
                let trying =
                    Trying { attempt: 0, since: self.now, phase: Phase::Trying, error: None, timer: None };
                self.set_state(id, State::Try(Box::new(trying)));
                self.attempt(id);
            }
            Kind::Raise(error) => return Err(self.raised(id, error)?),
            Kind::For(each) => self.iterate(id, each, input)?,
            Kind::Fork(fork) => self.fork(id, fork, &input),
            Kind::Unsupported(reason) => return Err(Fault::new(FaultKind::Configuration, reason.clone())),
            Kind::Missing(reason) => return Err(Fault::new(FaultKind::Communication, reason.clone())),
        }
        Ok(())
    }

    pub(super) fn set_state(&mut self, id: FrameId, state: State) {
        if let Some(frame) = self.body.frame_mut(id) {
            frame.state = state;
        }
    }

    fn choose(&self, id: FrameId, cases: &[Case], input: &Val) -> Result<Option<Then>, Fault> {
        let Some(frame) = self.frame(id) else { return Ok(None) };
        for case in cases {
            if let Some(when) = &case.when
                && when.eval(input.clone(), &self.env(frame)).map_err(expression)?.truthy()
            {
                return Ok(Some(case.then));
            }
        }
        Ok(cases.iter().find(|case| case.when.is_none()).map(|case| case.then))
    }

    fn pause(&mut self, id: FrameId, delay_ms: i64, input: Val) {
        if delay_ms == 0 {
            return self.done(id, input);
        }
        let op = self.timer(delay_ms, Purpose::Wait(id));
        self.set_state(id, State::Wait { op });
        self.waits(id);
    }

    fn emit(&mut self, id: FrameId, template: &Template, input: &Val) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let Val::Obj(event) = template.eval(input, &self.env(frame)).map_err(expression)? else {
            return Err(Fault::new(FaultKind::Expression, "an event must be an object"));
        };
        let mut members = Val::into_members(event);
        for name in ["source", "type"] {
            let key = String::from(name);
            if members.get(&key).and_then(Val::as_str).is_none_or(str::is_empty) {
                return Err(Fault::new(FaultKind::Expression, format!("an event needs text for '{name}'")));
            }
        }
        members.entry(std::sync::Arc::new("specversion".to_owned())).or_insert_with(|| Val::str("1.0"));
        let event = assemble(|| Val::obj(members))?;
        let op = self.next_op();
        self.body.open(op, Pending::Emit { frame: id });
        self.command(Command::Emit { op, event: event.to_json() });
        self.set_state(id, State::Emit { op, event });
        Ok(())
    }

    /// The error a `raise` task raises; `Err` when it cannot be made.
    fn raised(&self, id: FrameId, error: &ErrorTemplate) -> Result<Fault, Fault> {
        let Some(frame) = self.frame(id) else {
            return Err(Fault::new(FaultKind::Runtime, "the task is gone"));
        };
        let env = self.env(frame);
        let text = |template: &Option<Template>| match template {
            None => Ok(None),
            Some(template) => {
                template.eval(&frame.input, &env).map(|val| plain_text(&val)).map_err(expression)
            }
        };
        let kind = error.kind.eval(&frame.input, &env).map_err(expression)?;
        let status = error.status.eval(&frame.input, &env).map_err(expression)?;
        let wrong = || {
            Fault::new(
                FaultKind::Expression,
                "the error to raise has no type or no status between 100 and 599",
            )
        };
        let status =
            status.as_number().filter(|status| (100.0..=599.0).contains(status)).ok_or_else(wrong)?;
        Ok(Fault {
            r#type: kind.as_str().ok_or_else(wrong)?.to_owned(),
            status: status as u16,
            title: text(&error.title)?,
            detail: text(&error.detail)?,
            instance: text(&error.instance)?
                .or_else(|| Some(self.task_of(frame).reference.as_str().to_owned())),
        })
    }

    // ---- for

    fn iterate(&mut self, id: FrameId, each: &ForTask, input: Val) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let collection = each.collection.eval(input.clone(), &self.env(frame)).map_err(expression)?;
        let items = match collection {
            Val::Null => assemble(|| Val::arr(Vec::new()))?,
            list @ Val::Arr(_) => list,
            other => {
                return Err(Fault::new(
                    FaultKind::Expression,
                    format!("cannot iterate over {}", other.kind()),
                ));
            }
        };
        self.set_state(id, State::For { items, index: 0, item: Val::Null });
        self.round(id, each, 0, input)
    }

    /// Begins the round `index`, or ends the loop.
    fn round(&mut self, id: FrameId, each: &ForTask, index: u32, data: Val) -> Result<(), Fault> {
        let Some(State::For { items: Val::Arr(items), .. }) = self.frame(id).map(|frame| &frame.state) else {
            return Ok(());
        };
        let Some(item) = items.items().get(index as usize).cloned() else {
            self.done(id, data);
            return Ok(());
        };
        let items = Val::Arr(items.clone());
        self.set_state(id, State::For { items, index, item });
        if let (Some(condition), Some(frame)) = (&each.condition, self.frame(id))
            && !condition.eval(data.clone(), &self.env(frame)).map_err(expression)?.truthy()
        {
            self.done(id, data);
            return Ok(());
        }
        match each.block.first() {
            Some(first) => self.start(Some(id), *first, data),
            None => self.done(id, data),
        }
        Ok(())
    }

    // ---- fork

    fn fork(&mut self, id: FrameId, fork: &ForkTask, input: &Val) {
        let open = fork.branches.len() as u32;
        if open == 0 {
            return self.done(id, if fork.compete { input.clone() } else { Val::arr(Vec::new()) });
        }
        self.set_state(id, State::Fork { outputs: BTreeMap::new(), open });
        fork.branches.iter().for_each(|branch| self.start(Some(id), *branch, input.clone()));
    }

    fn branch_done(&mut self, id: FrameId, fork: &ForkTask, branch: TaskId, output: Val) {
        let Some(State::Fork { outputs, open }) = self.body.frame_mut(id).map(|frame| &mut frame.state)
        else {
            return;
        };
        if fork.compete {
            self.clear_inside(id);
            return self.done(id, output);
        }
        outputs.insert(branch, output);
        *open -= 1;
        if *open == 0 {
            let outputs = std::mem::take(outputs);
            match assemble(|| Val::arr(outputs.into_values().collect())) {
                Ok(output) => self.done(id, output),
                Err(fault) => self.fail(id, fault),
            }
        }
    }

    // ---- something inside is done

    /// The last task of the block inside `id` is done.
    pub(super) fn inside_done(&mut self, id: FrameId, task: TaskId, output: Val) {
        if self.extension_done(id) {
            return;
        }
        match self.kind_of(id) {
            Some(Kind::For(each)) => {
                let index = match self.frame(id).map(|frame| &frame.state) {
                    Some(State::For { index, .. }) => index + 1,
                    _ => 0,
                };
                if let Err(fault) = self.round(id, each, index, output) {
                    self.fail(id, fault);
                }
            }
            Some(Kind::Fork(fork)) => self.branch_done(id, fork, task, output),
            Some(Kind::Listen(listen)) => self.handled(id, listen, &output),
            _ => self.done(id, output),
        }
    }
}

fn plain_text(val: &Val) -> Option<String> {
    match val {
        Val::Null => None,
        Val::Str(text) => Some(text.as_str().to_owned()),
        other => Some(other.to_string()),
    }
}
