//! The history of a run, task by task, by replaying its journal.
//!
//! Invariant: history is computed, never stored; running itself pays nothing for it. Not here: the interpreter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Definition, Fault, Input, Run, Status};

/// Hears what tasks do while inputs are applied.
pub trait Tracer {
    /// A task instance begins.
    fn started(&mut self, start: &TaskStart<'_>, now: i64);
    /// A task instance reached another phase.
    fn changed(
        &mut self,
        instance: u64,
        status: Status,
        now: i64,
        output: Option<&Value>,
        error: Option<&Fault>,
    );
}

/// How a task instance begins.
#[derive(Clone, Debug)]
pub struct TaskStart<'t> {
    /// Tells instances apart; never used twice in one run.
    pub instance: u64,
    /// The instance it is inside of.
    pub parent: Option<u64>,
    /// The attempt of a `try` it belongs to, from 1.
    pub parent_attempt: u32,
    /// The round of a `for` or `foreach` it belongs to, from 0.
    pub round: u32,
    /// The task's name.
    pub name: &'t str,
    /// JSON pointer of the task.
    pub reference: &'t str,
    /// What it is given.
    pub input: &'t Value,
}

/// One task of a run, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEntry {
    /// Its name.
    pub name: String,
    /// JSON pointer of the task, such as `/do/0/getPet`.
    pub reference: String,
    /// Its phase.
    pub status: Status,
    /// How often it was begun.
    pub attempts: u32,
    /// Unix milliseconds.
    pub started_at: i64,
    /// Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// A run with its tasks: the fold of a journal so far. Serialized, it takes the journal's place.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    run: Run,
    entries: Entries,
}

impl Chronicle {
    /// Of a run that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one entry of the journal.
    pub fn take(&mut self, def: &Definition, now: i64, input: Input) {
        self.run.apply_traced(def, now, input, &mut self.entries);
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Its tasks in starting order.
    pub fn tasks(&self) -> &[TaskEntry] {
        &self.entries.list
    }

    /// Tasks that ended too long ago to be remembered.
    pub fn omitted(&self) -> u64 {
        0
    }
}

/// Folds a journal of `(time, input)` into the run and its tasks in starting order.
pub fn history(def: &Definition, journal: impl IntoIterator<Item = (i64, Input)>) -> (Run, Vec<TaskEntry>) {
    let mut chronicle = Chronicle::new();
    for (now, input) in journal {
        chronicle.take(def, now, input);
    }
    (chronicle.run, chronicle.entries.list)
}

/// Where a task stands: in which entry, which round, which task.
type Spot = (Option<usize>, u32, String);

/// Collects entries. A task begun again at the same spot by another attempt is the same entry.
#[derive(Clone, Debug, Default)]
struct Entries {
    list: Vec<TaskEntry>,
    of_instance: BTreeMap<u64, usize>,
    /// The latest entry at a spot, and the attempt that began it.
    at_spot: BTreeMap<Spot, (usize, (Option<u64>, u32))>,
}

impl Tracer for Entries {
    fn started(&mut self, start: &TaskStart<'_>, now: i64) {
        let parent = start.parent.and_then(|parent| self.of_instance.get(&parent).copied());
        let spot = (parent, start.round, start.reference.to_owned());
        let attempt = (start.parent, start.parent_attempt);
        let known = self.at_spot.get(&spot).filter(|(_, before)| *before != attempt).map(|(entry, _)| *entry);
        let input = Some(start.input.clone());
        let entry = if let Some(entry) = known {
            let again = &mut self.list[entry];
            again.attempts += 1;
            (again.status, again.ended_at, again.input) = (Status::Running, None, input);
            (again.output, again.error) = (None, None);
            entry
        } else {
            self.list.push(TaskEntry {
                name: start.name.to_owned(),
                reference: start.reference.to_owned(),
                status: Status::Running,
                attempts: 1,
                started_at: now,
                ended_at: None,
                input,
                output: None,
                error: None,
            });
            self.list.len() - 1
        };
        self.of_instance.insert(start.instance, entry);
        self.at_spot.insert(spot, (entry, attempt));
    }

    fn changed(
        &mut self,
        instance: u64,
        status: Status,
        now: i64,
        output: Option<&Value>,
        error: Option<&Fault>,
    ) {
        let Some(entry) = self.of_instance.get(&instance).and_then(|entry| self.list.get_mut(*entry)) else {
            return;
        };
        entry.status = status;
        entry.ended_at = status.is_final().then_some(now);
        entry.output = output.cloned();
        entry.error = error.cloned();
    }
}
