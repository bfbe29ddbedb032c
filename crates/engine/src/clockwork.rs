//! Workflows that the clock starts.
//!
//! Invariant: a due time starts one run, in the commit that moves the schedule on from it; what is in memory here is
//! what was last read, and a write that finds it changed only leads to reading it again.
//! Not here: computing times (`flow`).

use crate::driver::Driver;
use crate::registry::Workflow;
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Definition, Schedule};
use openevent_store::schedules::ScheduleRecord;
use openevent_store::{Error, Path, WriteSet};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long after a write or read that failed the next is tried.
const AGAIN_MS: i64 = 250;

/// Next starts by the clock.
#[derive(Debug, Default)]
pub(crate) struct Clockwork {
    records: BTreeMap<Path, ScheduleRecord>,
    soonest: Option<Millis>,
    /// The registry's generation the records were brought in step with.
    generation: Option<u64>,
    /// After a failure: not before.
    again_at: Millis,
}

impl Clockwork {
    /// When the next start is due.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.soonest.map(|at| at.max(self.again_at))
    }

    fn put(&mut self, record: ScheduleRecord) {
        self.records.insert(record.path.clone(), record);
        self.soonest = self.records.values().filter_map(|record| record.next_at).min();
    }

    fn due(&self, now: Millis) -> Option<(ScheduleRecord, Millis)> {
        self.soonest.filter(|at| *at <= now)?;
        let due = |record: &&ScheduleRecord| record.next_at.is_some_and(|at| at <= now);
        let record = self.records.values().find(due)?.clone();
        record.next_at.map(|at| (record, at))
    }

    /// A run that a schedule waits for has ended.
    pub(crate) fn after(&mut self, path: &Path, hash: &str, at: Millis) {
        if let Some(record) = self.records.get(path).filter(|record| record.definition_hash == hash).cloned()
        {
            self.put(ScheduleRecord { next_at: Some(at), ..record });
        }
    }

    /// Reads everything again before anything else.
    pub(crate) fn forget(&mut self) {
        *self = Self { again_at: self.again_at, ..Self::default() };
    }

    /// Reads schedules again, if there are any.
    pub(crate) fn look_again(&mut self) {
        if !self.records.is_empty() {
            self.forget();
        }
    }

    fn fail(&mut self, now: Millis) {
        self.forget();
        self.again_at = now + AGAIN_MS;
    }
}

impl Driver {
    /// Starts what is due, and notices schedules that were put or removed.
    pub(crate) async fn keep_time(&mut self) {
        let now = self.clock.now();
        if now < self.clockwork.again_at {
            return;
        }
        if let Err(cause) = self.start_due(now).await {
            tracing::debug!(error = %cause, "schedules are read again");
            self.clockwork.fail(now);
        }
    }

    async fn start_due(&mut self, now: Millis) -> Result<(), Error> {
        let generation = self.registry.generation();
        if self.clockwork.generation != Some(generation) {
            self.bring_in_step().await?;
            self.clockwork.generation = Some(generation);
        }
        while let Some((record, due)) = self.clockwork.due(now) {
            let Path { tenant, namespace, name } = &record.path;
            let found = self.registry.workflow(tenant, namespace, name, Some(&record.version));
            let Some(workflow) = found.filter(|workflow| workflow.hash == record.definition_hash) else {
                // It was put or removed this moment.
                self.clockwork.forget();
                return Ok(());
            };
            let next_at =
                workflow.definition.schedule().and_then(|schedule| schedule.next(record.since, now));
            let run = self.spine.run(tenant, &workflow, None, Arc::new(json!({})), now);
            let mut set = WriteSet::new();
            set.move_schedule(&record, due, next_at);
            set.add_run(Arc::new(run));
            self.store.submit(set).await?;
            self.clockwork.put(ScheduleRecord { next_at, ..record });
        }
        Ok(())
    }

    /// Makes the stored schedules those of the current workflows.
    async fn bring_in_step(&mut self) -> Result<(), Error> {
        let wanted: BTreeMap<Path, Arc<Workflow>> = self.registry.scheduled().into_iter().collect();
        let stored = self.store.schedules().await?;
        let mut set = WriteSet::new();
        for record in &stored {
            if !wanted.contains_key(&record.path) {
                set.delete_schedule(&record.path);
            }
        }
        let is_stored = |path: &Path, workflow: &Workflow| {
            let same = |record: &&ScheduleRecord| {
                record.path == *path
                    && record.definition_hash == workflow.hash
                    && record.version == workflow.version
            };
            stored.iter().any(|record| same(&record))
        };
        for (path, workflow) in wanted.iter().filter(|(path, workflow)| !is_stored(path, workflow)) {
            set.put_schedule(&first(path, workflow));
        }
        if !set.is_empty() {
            self.store.submit(set).await?;
        }
        let records = self.store.schedules().await?;
        self.clockwork.records.clear();
        self.clockwork.soonest = None;
        for record in records {
            self.clockwork.put(record);
        }
        Ok(())
    }
}

/// A run of this definition ends now: where the next one starts after it, when that is; written with the end.
pub(crate) fn next_after(
    tenant: &Tenant,
    definition: &Definition,
    now: Millis,
) -> Option<(Path, String, Millis)> {
    let after_ms = definition.schedule().and_then(Schedule::after_ms)?;
    let (namespace, name) = (definition.namespace().to_owned(), definition.name().to_owned());
    let path = Path { tenant: tenant.clone(), namespace, name };
    Some((path, definition.hash().to_owned(), now.saturating_add(after_ms)))
}

/// The schedule of a workflow that was just put: `after` starts its first run at once.
fn first(path: &Path, workflow: &Workflow) -> ScheduleRecord {
    ScheduleRecord {
        path: path.clone(),
        version: workflow.version.clone(),
        definition_hash: workflow.hash.clone(),
        since: workflow.updated_at,
        next_at: first_start(workflow),
    }
}

/// When the clock first starts a workflow, counted from when it was put: what is missed before the engine takes it
/// up is made up for, once, as any other miss.
pub fn first_start(workflow: &Workflow) -> Option<Millis> {
    let (schedule, put_at) = (workflow.definition.schedule()?, workflow.updated_at);
    schedule.next(put_at, put_at).or_else(|| schedule.after_ms().map(|_| put_at))
}
