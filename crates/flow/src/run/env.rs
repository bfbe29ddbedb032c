//! What expressions see: the runtime expression arguments of the DSL and the variables of constructs around.
//!
//! Invariant: an argument costs something only when an expression names it. Not here: evaluation (`jq`).

use super::state::{Body, Frame, State};
use crate::definition::Definition;
use crate::jq::{Scope, Val};
use crate::model::{Kind, Task};

const RUNTIME_NAME: &str = "openevent";

/// The place an expression stands at.
#[derive(Clone, Copy)]
pub(super) struct Env<'e> {
    pub(super) def: &'e Definition,
    pub(super) body: &'e Body,
    pub(super) frame: Option<&'e Frame>,
    /// `$task.output`.
    pub(super) raw_output: Option<&'e Val>,
    /// `$output`.
    pub(super) output: Option<&'e Val>,
    /// A variable that is not in the state yet, such as a caught error.
    pub(super) extra: Option<(&'e str, &'e Val)>,
    /// Whether this is the condition of an extension of the task.
    pub(super) extending: bool,
}

impl<'e> Env<'e> {
    pub(super) fn of_run(def: &'e Definition, body: &'e Body) -> Self {
        Self { def, body, frame: None, raw_output: None, output: None, extra: None, extending: false }
    }

    pub(super) fn of_task(def: &'e Definition, body: &'e Body, frame: &'e Frame) -> Self {
        Self { frame: Some(frame), ..Self::of_run(def, body) }
    }

    /// The task an extension stands around, when this is part of one.
    fn extended(&self) -> Option<&'e Frame> {
        if self.extending || self.def.model.extensions.is_empty() {
            return self.frame.filter(|_| self.extending);
        }
        let mut next = self.frame?.parent;
        while let Some(frame) = next.and_then(|id| self.body.frames().get(&id)) {
            if matches!(frame.state, State::Before { .. } | State::After { .. }) {
                return Some(frame);
            }
            next = frame.parent;
        }
        None
    }

    fn task(&self) -> Val {
        let Some(own) = self.frame else { return Val::Null };
        let extended = self.extended();
        let frame = extended.unwrap_or(own);
        let task = &self.def.model.tasks[frame.task as usize];
        let output = match &frame.state {
            State::After { output, .. } if extended.is_some() => Some(output),
            _ => self.raw_output.filter(|_| extended.is_none()),
        };
        let mut members = match &task.definition {
            // extensions are written as if the task's own members were its descriptor's
            Val::Obj(definition) if extended.is_some() => definition.members().clone(),
            _ => std::collections::BTreeMap::new(),
        };
        let described = [
            ("name", Val::Str(task.name.clone())),
            ("reference", Val::Str(task.reference.clone())),
            ("definition", task.definition.clone()),
            ("input", frame.raw.clone()),
            ("output", output.cloned().unwrap_or_default()),
            ("startedAt", moment(frame.started_at)),
        ];
        members.extend(described.map(|(name, val)| (name.to_owned().into(), val)));
        Val::obj(members)
    }

    fn workflow(&self) -> Val {
        Val::record([
            ("id", Val::str(self.body.run_id.as_str())),
            ("definition", self.def.model.definition.clone()),
            ("input", self.body.input.clone()),
            ("startedAt", moment(self.body.started_at)),
        ])
    }

    fn task_member(&self, key: &str) -> Option<Val> {
        let frame = self.frame?;
        if self.extended().is_some() {
            return None;
        }
        let task = &self.def.model.tasks[frame.task as usize];
        match key {
            "name" => Some(Val::Str(task.name.clone())),
            "reference" => Some(Val::Str(task.reference.clone())),
            "definition" => Some(task.definition.clone()),
            "input" => Some(frame.raw.clone()),
            _ => None,
        }
    }

    fn workflow_member(&self, key: &str) -> Option<Val> {
        match key {
            "id" => Some(Val::str(self.body.run_id.as_str())),
            "definition" => Some(self.def.model.definition.clone()),
            "input" => Some(self.body.input.clone()),
            _ => None,
        }
    }

    /// The innermost construct that introduces `name`.
    fn local(&self, name: &str) -> Option<Val> {
        if let Some((extra, val)) = self.extra
            && extra == name
        {
            return Some(val.clone());
        }
        let mut next = self.frame;
        while let Some(frame) = next {
            if let Some(val) = introduced(&self.def.model.tasks[frame.task as usize], frame, name) {
                return Some(val);
            }
            next = frame.parent.and_then(|parent| self.body.frames().get(&parent));
        }
        None
    }
}

fn introduced(task: &Task, frame: &Frame, name: &str) -> Option<Val> {
    match (&task.kind, &frame.state) {
        (Kind::Try(kind), State::Try(trying)) if kind.variable.as_str() == name => trying.error.clone(),
        (Kind::For(kind), State::For { index, .. }) if kind.at.as_str() == name => {
            Some(Val::Int(i64::from(*index)))
        }
        (Kind::For(kind), State::For { item, .. }) if kind.item.as_str() == name => Some(item.clone()),
        (Kind::Listen(kind), State::Listen(listening)) => {
            let each = kind.each.as_ref()?;
            let item = listening.item.as_ref()?;
            if each.item.as_str() == name {
                return Some(item.clone());
            }
            (each.at.as_str() == name).then(|| Val::Int(i64::from(listening.index)))
        }
        _ => None,
    }
}

impl Scope for Env<'_> {
    fn var(&self, name: &str) -> Val {
        match name {
            "context" => self.body.context.clone(),
            "input" => self.frame.map(|frame| frame.input.clone()).unwrap_or_default(),
            "output" => self.output.cloned().unwrap_or_default(),
            "task" => self.task(),
            "workflow" => self.workflow(),
            "runtime" => Val::record([
                ("name", Val::str(RUNTIME_NAME)),
                ("version", Val::str(env!("CARGO_PKG_VERSION"))),
                ("metadata", Val::record([])),
            ]),
            "secrets" => self.body.secrets.clone().unwrap_or_else(|| Val::record([])),
            "authorization" => match self.frame.map(|frame| &frame.state) {
                Some(State::Answered { authorization }) => authorization.clone(),
                _ => Val::Null,
            },
            local => self.local(local).unwrap_or_default(),
        }
    }

    fn has_secret(&self, name: &str) -> bool {
        self.body.secrets.as_ref().is_some_and(|secrets| secrets.get(name).is_some())
    }

    fn member(&self, name: &str, key: &str) -> Option<Val> {
        match name {
            "workflow" => self.workflow_member(key),
            "task" => self.task_member(key),
            _ => None,
        }
    }
}

/// The DSL's descriptor of a time.
fn moment(ms: i64) -> Val {
    let epoch = Val::record([("seconds", Val::Int(ms.div_euclid(1000))), ("milliseconds", Val::Int(ms))]);
    Val::record([("iso8601", Val::str(iso8601(ms))), ("epoch", epoch)])
}

/// UTC with milliseconds. Years are counted from March, so that leap days come last.
pub(super) fn iso8601(ms: i64) -> String {
    let (days, time) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", time % 1000)
}

#[cfg(test)]
mod tests {
    use super::iso8601;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(iso8601(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso8601(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }
}
