//! How runs come to be driven: told of by a commit, found in the store, or let go on after they had faulted.
//!
//! Invariant: a run is driven once; one that cannot be driven by this version stays as it is, for one that can.
//! Not here: folding what a run has behind it (`restore`).

use crate::batch::Batch;
use crate::driver::{Driver, Lost, TURN_MAX};
use crate::gate::has_gate;
use crate::gating::Inside;
use crate::lifecycle::starts_quietly;
use crate::live::{Beginning, Live};
use crate::remote::Handover;
use openevent_domain::id::RunId;
use openevent_flow::{Definition, Fault, Input, Outcome};
use openevent_store::runs::RunRecord;
use std::sync::Arc;

impl Driver {
    /// Begins a run that the store has, unless it is driven already.
    pub(crate) async fn begin(&mut self, beginning: Beginning, batch: &mut Batch) -> Result<(), Lost> {
        let is_abroad = self.abroad.as_ref().is_some_and(|abroad| abroad.has(&beginning.id));
        if is_abroad || self.by_id.contains_key(&beginning.id) {
            return Ok(());
        }
        let kept = (beginning.definition_hash.as_str(), beginning.semantics);
        let Some(definition) = self.definition(&beginning.id, kept).await? else { return Ok(()) };
        if has_gate(&definition) {
            return self.enter_gate(beginning, definition, batch).await;
        }
        self.launch(beginning, definition, None, batch);
        Ok(())
    }

    /// Begins a run: at the time it was started, or at that of this turn where a gate let it in.
    pub(crate) fn launch(
        &mut self,
        beginning: Beginning,
        definition: Arc<Definition>,
        inside: Option<Inside>,
        batch: &mut Batch,
    ) {
        if let Some(abroad) = &mut self.abroad {
            batch.handed.push(Handover::new(&beginning, &definition));
            if let Some(inside) = inside {
                abroad.let_in(beginning.id, inside);
            }
            return;
        }
        let mut live = Live::new(beginning.id.clone(), beginning.tenant, definition);
        live.taken_up = beginning.taken_up;
        live.parent = beginning.parent;
        let began_at = if inside.is_some() { batch.now } else { beginning.started_at };
        live.inside = inside.map(Box::new);
        live.quiet = live.parent.as_ref().is_some_and(|parent| parent.quiet)
            || (beginning.by_events && starts_quietly(&beginning.input));
        let handle = self.adopt(live);
        metrics::counter!("openevent_runs_started_total").increment(1);
        let run_id = beginning.id.as_str().to_owned();
        let input = Arc::unwrap_or_clone(beginning.input);
        let started = Input::Started { input, run_id, by_events: beginning.by_events };
        self.apply(handle, started, began_at, batch);
    }

    /// The definition a run keeps, if it can be driven: it is there, it is read, and its run began under the
    /// semantics of this interpreter. A run that cannot be driven stays as it is, for a binary that can.
    pub(crate) async fn definition(
        &self,
        run: &RunId,
        (hash, semantics): (&str, i64),
    ) -> Result<Option<Arc<Definition>>, Lost> {
        if semantics != i64::from(openevent_flow::SEMANTICS) {
            tracing::error!(run.id = %run, semantics, "a run began under semantics this version does not have");
            return Ok(None);
        }
        let definition = match self.registry.known_definition(hash) {
            Some(definition) => Some(definition),
            None => self.registry.definition(hash).await.map_err(|cause| crate::restore::lost(&cause))?,
        };
        if definition.is_none() {
            tracing::error!(run.id = %run, "a run's definition is missing or no longer read");
        }
        Ok(definition)
    }

    pub(crate) fn adopt(&mut self, live: Live) -> u64 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.by_id.insert(live.id.clone(), handle);
        self.runs.insert(handle, live);
        handle
    }

    /// Takes up runs whose notice did not fit into the queue, or that another node started.
    pub(crate) async fn take_up_pending(&mut self, since: Option<RunId>) -> Result<(), Lost> {
        if self.abroad.is_some() {
            return self.send_off_new(since).await;
        }
        let mut after = since;
        loop {
            let page = self.store.pending_runs(after.as_ref(), TURN_MAX as i64).await.map_err(|_| Lost)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            let mut batch = Batch::new(self.clock.now());
            for record in page {
                self.take_up(record, &mut batch).await?;
            }
            self.settle(batch).await?;
        }
    }

    /// Ends a run that cannot be driven.
    pub(crate) fn give_up(&mut self, handle: u64, fault: Fault, batch: &mut Batch) {
        self.finish(handle, Outcome::Faulted(fault), batch);
    }

    /// Takes up a run that is to be driven: from its beginning, or from where it was when it faulted.
    async fn take_up(&mut self, record: RunRecord, batch: &mut Batch) -> Result<(), Lost> {
        if self.abroad.is_some() {
            return self.send_off(record, batch).await;
        }
        if record.retries == 0 && record.begun_at.is_none() {
            return self.begin(record.into(), batch).await;
        }
        if self.by_id.contains_key(&record.id) {
            return Ok(());
        }
        let past = self.past(&record.id).await?;
        self.restore_run(record, past, batch).await
    }

    /// Takes up runs that had faulted.
    pub(crate) async fn reopen(&mut self, runs: &[RunId], batch: &mut Batch) -> Result<(), Lost> {
        for run in runs {
            let found = self.store.any_run(run).await.map_err(|cause| crate::restore::lost(&cause))?;
            if let Some(record) = found.filter(|record| record.ended_at.is_none()) {
                self.ended_untold.remove(run);
                self.take_up(record, batch).await?;
            }
        }
        Ok(())
    }
}
