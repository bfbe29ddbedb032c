//! Workflows that start when several events have come.
//!
//! Invariant: this driver alone spends kept events, each in the commit that starts a run with it or finds that nobody
//! needs it; a write that finds one spent already only leads to reading again.
//! Not here: keeping events (`spine`), when enough have come (`flow`).

use crate::driver::Driver;
use openevent_domain::ambient::Millis;
use openevent_store::{Error, Path, WriteSet};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long after a write or read that failed the next is tried.
const AGAIN_MS: i64 = 250;

/// Workflows for which events were kept since they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    paths: BTreeSet<Path>,
    /// Whether the store has been asked for all of them.
    is_complete: bool,
    /// After a failure: not before.
    again_at: Millis,
}

impl Gathering {
    /// Events were kept for these.
    pub(crate) fn told(&mut self, paths: Vec<Path>) {
        self.paths.extend(paths);
    }

    /// When somebody has to be looked at.
    pub(crate) fn next(&self) -> Option<Millis> {
        (!self.paths.is_empty()).then_some(self.again_at)
    }

    /// Asks the store for all of them the next time.
    pub(crate) fn look_again(&mut self) {
        self.is_complete = false;
    }
}

impl Driver {
    /// Starts the runs for which all events have come.
    pub(crate) async fn gather_events(&mut self) {
        let now = self.clock.now();
        if now < self.gathering.again_at {
            return;
        }
        if let Err(cause) = self.start_gathered(now).await {
            tracing::debug!(error = %cause, "kept events are read again");
            self.gathering.again_at = now + AGAIN_MS;
            self.gathering.look_again();
        }
    }

    async fn start_gathered(&mut self, now: Millis) -> Result<(), Error> {
        if !self.gathering.is_complete {
            let paths = self.store.gathering().await?;
            self.gathering.told(paths);
            self.gathering.is_complete = true;
        }
        while let Some(path) = self.gathering.paths.pop_first() {
            while self.spend(&path, now).await? {}
        }
        Ok(())
    }

    /// Starts one run, or forgets what nobody needs. `false`: nothing was left to do.
    async fn spend(&self, path: &Path, now: Millis) -> Result<bool, Error> {
        let kept = self.store.gathered_events(path).await?;
        if kept.is_empty() {
            return Ok(false);
        }
        let Path { tenant, namespace, name } = path;
        let workflow = self.registry.workflow(tenant, namespace, name, None);
        let mut set = WriteSet::new();
        let trigger = workflow.as_ref().and_then(|workflow| workflow.definition.trigger());
        let (Some(workflow), Some(trigger)) = (&workflow, trigger.filter(|trigger| !trigger.is_immediate()))
        else {
            set.forget_events(path);
            self.store.submit(set).await?;
            return Ok(false);
        };
        let events: Vec<Value> = kept.iter().map(|one| one.event.as_ref().clone()).collect();
        let mut gathered = trigger.gather(&events);
        gathered.complete = gathered.complete.filter(|complete| !complete.is_empty());
        let mut spent: BTreeSet<usize> = gathered.spent.into_iter().collect();
        spent.extend(gathered.complete.iter().flatten());
        for one in spent.iter().filter_map(|at| kept.get(*at)) {
            set.spend_event(path, &one.signal_id);
        }
        let is_complete = gathered.complete.is_some();
        if let Some(complete) = gathered.complete {
            let completing = complete.iter().max().and_then(|at| kept.get(*at)).map(|one| &one.signal_id);
            let input = complete.iter().filter_map(|at| events.get(*at).cloned()).collect();
            let run = self.spine.run(tenant, workflow, completing, Arc::new(Value::Array(input)), now);
            set.add_run(Arc::new(run));
        }
        if set.is_empty() {
            return Ok(false);
        }
        self.store.submit(set).await?;
        Ok(is_complete)
    }
}
