//! A run with its tasks, computed from its journal: what people look at, and what takes the journal's place.
//!
//! Invariant: folding a journal gives the same as folding what is left of it onto a saved chronicle, and the size of a
//! chronicle is bounded however long the run. Not here: the interpreter, and where journals are kept.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::history::{Happened, TaskChange, TaskStart};
use crate::jq::Val;
use crate::run::Table;
use crate::{Definition, Fault, Input, Payload, Run, Status, TaskEntry, Tracer, cut};

/// Ended tasks that are remembered; those under way always are.
const ENDED_MAX: usize = 1_000;
/// Data of ended tasks that is remembered, as [`Val::weight`] counts it: about 16 MiB.
const WEIGHT_MAX: u64 = 2 * 1024 * 1024;

/// A run with its tasks: the fold of a journal so far. Serialized, it takes the journal's place.
///
/// The last 1 000 tasks that ended are remembered, fewer when their inputs and outputs are large (16 MiB in all),
/// and every task under way. [`omitted`](Self::omitted) counts the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chronicle {
    run: Run,
    tasks: Tasks,
}

impl Chronicle {
    /// Of a run that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one entry of the journal.
    pub fn take(&mut self, def: &Definition, now: i64, input: Input) {
        self.run.apply_traced(def, now, input, &mut self.tasks);
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The run, to go on with.
    pub fn into_run(self) -> Run {
        self.run
    }

    /// Its tasks in starting order.
    pub fn tasks(&self) -> Vec<TaskEntry> {
        self.tasks.records.values().map(Record::entry).collect()
    }

    /// Tasks that ended too long ago to be remembered.
    pub fn omitted(&self) -> u64 {
        self.tasks.omitted
    }
}

/// Folds a journal of `(time, input)` into the run and its tasks in starting order.
pub fn history(def: &Definition, journal: impl IntoIterator<Item = (i64, Input)>) -> (Run, Vec<TaskEntry>) {
    let mut chronicle = Chronicle::new();
    for (now, input) in journal {
        chronicle.take(def, now, input);
    }
    let tasks = chronicle.tasks();
    (chronicle.run, tasks)
}

/// Where a task stands: inside which record, in which round, which task.
type Spot = (Option<u64>, u32, String);

/// Collects records. A task begun again at the same spot by another attempt, or in place of one that failed, is the
/// same record.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tasks {
    /// By number, in starting order.
    records: BTreeMap<u64, Record>,
    next: u64,
    /// Numbers of ended tasks, in the order they ended.
    ended: BTreeMap<u64, u64>,
    ended_next: u64,
    /// Weight of the data of ended tasks.
    weight: u64,
    omitted: u64,
    of_instance: BTreeMap<u64, u64>,
    /// The latest record at a spot.
    at_spot: BTreeMap<Spot, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record<V = Val> {
    number: u64,
    instance: u64,
    spot: Spot,
    /// The instance it is inside of, and which attempt of it.
    attempt: (Option<u64>, u32),
    name: String,
    status: Status,
    attempts: u32,
    started_at: i64,
    /// When it ended, and as which.
    ended: Option<(i64, u64)>,
    input: V,
    output: Option<V>,
    error: Option<Fault>,
}

impl Record {
    fn entry(&self) -> TaskEntry {
        TaskEntry {
            name: self.name.clone(),
            reference: self.spot.2.clone(),
            status: self.status,
            attempts: self.attempts,
            started_at: self.started_at,
            ended_at: self.ended.map(|(at, _)| at),
            input: Some(self.input.to_json()),
            output: self.output.as_ref().map(Val::to_json),
            error: self.error.clone(),
        }
    }

    fn weight(&self) -> u64 {
        self.input.weight() + self.output.as_ref().map_or(0, Val::weight)
    }
}

impl<A> Record<A> {
    fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> Record<B> {
        Record {
            number: self.number,
            instance: self.instance,
            spot: self.spot.clone(),
            attempt: self.attempt,
            name: self.name.clone(),
            status: self.status,
            attempts: self.attempts,
            started_at: self.started_at,
            ended: self.ended,
            input: f(&self.input),
            output: self.output.as_ref().map(f),
            error: self.error.clone(),
        }
    }
}

impl Tracer for Tasks {
    fn started(&mut self, start: &TaskStart<'_>, now: i64) {
        let parent = start.parent.and_then(|parent| self.of_instance.get(&parent).copied());
        let spot = (parent, start.round, start.reference.to_owned());
        let attempt = (start.parent, start.parent_attempt);
        let input = cut::kept(&start.input.0);
        let is_again = |number: &u64| {
            self.records
                .get(number)
                .is_some_and(|record| record.instance == start.instance || record.attempt != attempt)
        };
        let known = self.of_instance.get(&start.instance).or_else(|| self.at_spot.get(&spot)).copied();
        if let Some(number) = known.filter(is_again) {
            return self.again(number, start.instance, attempt, input);
        }
        let number = self.next;
        self.next += 1;
        let record = Record {
            number,
            instance: start.instance,
            spot,
            attempt,
            name: start.name.to_owned(),
            status: Status::Running,
            attempts: 1,
            started_at: now,
            ended: None,
            input,
            output: None,
            error: None,
        };
        self.insert(record);
    }

    fn changed(&mut self, change: &TaskChange<'_>, now: i64) {
        let Some(number) = self.of_instance.get(&change.instance).copied() else { return };
        self.reopen(number);
        let Some(record) = self.records.get_mut(&number) else { return };
        record.status = change.happened.status();
        (record.output, record.error) = match change.happened {
            Happened::Completed(Payload(output)) => (Some(cut::kept(output)), None),
            Happened::Faulted(fault) => (None, Some(fault.clone())),
            _ => (None, None),
        };
        if record.status.is_final() {
            self.end(number, now);
        }
    }
}

impl Tasks {
    fn insert(&mut self, record: Record) {
        self.of_instance.insert(record.instance, record.number);
        self.at_spot.insert(record.spot.clone(), record.number);
        if let Some((_, sequence)) = record.ended {
            self.ended.insert(sequence, record.number);
            self.weight += record.weight();
        }
        self.records.insert(record.number, record);
    }

    /// A known task begins again.
    fn again(&mut self, number: u64, instance: u64, attempt: (Option<u64>, u32), input: Val) {
        self.reopen(number);
        let Some(record) = self.records.get_mut(&number) else { return };
        self.of_instance.remove(&record.instance);
        self.of_instance.insert(instance, number);
        record.attempts += 1;
        (record.instance, record.attempt) = (instance, attempt);
        (record.status, record.input) = (Status::Running, input);
        (record.output, record.error) = (None, None);
    }

    /// A task is under way again, if it was not.
    fn reopen(&mut self, number: u64) {
        if let Some(record) = self.records.get_mut(&number)
            && let Some((_, sequence)) = record.ended.take()
        {
            self.ended.remove(&sequence);
            self.weight -= record.weight();
        }
    }

    fn end(&mut self, number: u64, now: i64) {
        if let Some(record) = self.records.get_mut(&number) {
            record.ended = Some((now, self.ended_next));
            self.ended.insert(self.ended_next, number);
            self.ended_next += 1;
            self.weight += record.weight();
        }
        while self.ended.len() > ENDED_MAX || self.weight > WEIGHT_MAX {
            self.forget();
        }
    }

    /// Forgets the task that ended first.
    fn forget(&mut self) {
        let Some((_, number)) = self.ended.pop_first() else { return };
        let Some(record) = self.records.remove(&number) else { return };
        self.weight -= record.weight();
        self.omitted += 1;
        self.of_instance.remove(&record.instance);
        if self.at_spot.get(&record.spot) == Some(&number) {
            self.at_spot.remove(&record.spot);
        }
    }
}

/// The tasks as they are saved: each value once, and nothing that follows from the rest.
#[derive(Serialize, Deserialize)]
struct Saved {
    next: u64,
    ended_next: u64,
    omitted: u64,
    values: Vec<Val>,
    records: Vec<Record<u32>>,
}

impl Serialize for Tasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = Table::default();
        let records =
            self.records.values().map(|record| record.map(&mut |val| table.position(val))).collect();
        let (next, ended_next, omitted) = (self.next, self.ended_next, self.omitted);
        Saved { next, ended_next, omitted, values: table.into_values(), records }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let mut tasks = Self {
            next: saved.next,
            ended_next: saved.ended_next,
            omitted: saved.omitted,
            ..Self::default()
        };
        let mut missing = false;
        for record in saved.records {
            tasks.insert(record.map(&mut |position| {
                let val = saved.values.get(*position as usize);
                missing |= val.is_none();
                val.cloned().unwrap_or_default()
            }));
        }
        if missing {
            return Err(D::Error::custom("the history refers to a value it does not hold"));
        }
        Ok(tasks)
    }
}
