//! What any node does for a run that is driven elsewhere: opens it, calls the outside for it, writes its turns.
//!
//! Invariant: everything here may be asked twice. A turn is one commit whose rows have ids made of the turn itself, so a
//! turn that was written is found written, and answered again as it was the first time.
//! Not here: when (the cluster says); who is handed over (`coordinate`).

use super::turn::{Emission, Ended, Offspring, Opening, Ready, Turn, Turned};
use super::{Cluster, execution};
use crate::actions::{Order, Outside};
use crate::batch::columns;
use crate::children::{Above, answer, answer_of, cancelled, child_run};
use crate::clockwork::next_after;
use crate::emit::admitted;
use crate::handle::{Control, Parts, Settings, Unheard};
use crate::lifecycle::{self, Audience, Lifecycle, PREFIX, is_lifecycle, is_wanted, starts_quietly};
use crate::past;
use crate::registry::Registry;
use crate::spine::Spine;
use openevent_domain::ambient::{Chance, Clock, Millis};
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Call, Definition, Fault, FaultKind, Input, Wait};
use openevent_store::audit::AuditRecord;
use openevent_store::handover::{ListenRecord, ListenState};
use openevent_store::runs::{Ending, RunRecord};
use openevent_store::{Error, Parent, Store, WriteSet};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How old what is known of runs that wait for lifecycle events may be.
const EARS_MS: i64 = 500;
/// Entries of a journal after which it is made shorter.
const COMPACT_EVERY: i64 = 1_000;

/// Why a node cannot do it now. Asking again helps, here or at another node.
#[derive(Debug, thiserror::Error)]
pub enum Unable {
    /// The database.
    #[error("the database did not take it or give it")]
    Store(#[from] Error),
    /// This version does not read the run's definition, or has not its semantics.
    #[error(
        "this version cannot drive the run {0}: it began under other semantics, or its definition is no longer read"
    )]
    Unreadable(RunId),
    /// The cluster did not take what has to be said to another run.
    #[error("the cluster did not take it: {0}")]
    Away(#[from] super::Away),
    /// A task of this node broke off.
    #[error("the node gave up folding a run")]
    Broken,
}

/// A node's desk for runs that are driven elsewhere.
#[derive(Clone, Debug)]
pub struct Desk {
    store: Arc<Store>,
    registry: Arc<Registry>,
    outside: Arc<Outside>,
    audience: Arc<Audience>,
    cluster: Arc<dyn Cluster>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    ears: Arc<Mutex<Ears>>,
}

/// Runs of any node that wait for lifecycle events, as they were a moment ago.
#[derive(Debug, Default)]
struct Ears {
    looked_at: Millis,
    names: Vec<(Tenant, String)>,
}

/// Chance that is none: the same bytes for the same seed, so that ids made again are equal.
#[derive(Debug)]
struct Derived(Mutex<(String, u64)>);

impl Derived {
    fn of(seed: String) -> Arc<dyn Chance> {
        Arc::new(Self(Mutex::new((seed, 0))))
    }
}

impl Chance for Derived {
    fn fill(&self, bytes: &mut [u8]) {
        let mut at = self.0.lock();
        for chunk in bytes.chunks_mut(32) {
            at.1 += 1;
            let block = Sha256::digest(format!("{}#{}", at.0, at.1));
            chunk.iter_mut().zip(block).for_each(|(byte, drawn)| *byte = drawn);
        }
    }
}

impl Desk {
    pub(crate) fn new(
        parts: &Parts,
        outside: Arc<Outside>,
        audience: Arc<Audience>,
        cluster: Arc<dyn Cluster>,
    ) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            registry: Arc::clone(&parts.registry),
            outside,
            audience,
            cluster,
            clock: Arc::clone(&parts.clock),
            settings: parts.settings.clone(),
            ears: Arc::default(),
        }
    }

    /// What is wrong with the cluster at the moment.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.cluster.trouble()
    }

    /// What a run needs to set out under this name.
    pub async fn open(&self, run: &RunId, name: &str) -> Result<Opening, Unable> {
        let Some(record) = self.store.any_run(run).await? else { return Ok(Opening::Over) };
        if record.ended_at.is_some() || execution(run, record.retries) != name {
            return Ok(Opening::Over);
        }
        let unreadable = || Unable::Unreadable(run.clone());
        let definition = self.definition(&record).await?;
        let linked = self.store.definition(&record.definition_hash).await?.ok_or_else(unreadable)?;
        let past = past::read(&self.store, run).await?;
        let folded = if past.is_empty() {
            None
        } else {
            let of = record.clone();
            // Folding evaluates expressions: not on a thread that serves others.
            let folded = tokio::task::spawn_blocking(move || past.fold(&of, &definition)).await;
            let Ok(folded) = folded.map_err(|_| Unable::Broken)? else {
                self.give_up(&record).await?;
                return Ok(Opening::Over);
            };
            Some(folded)
        };
        let mut set = WriteSet::new();
        set.hand_over(run, self.clock.now());
        set.mark_run(run, "running");
        self.store.submit(set).await?;
        if folded.is_none() {
            metrics::counter!("openevent_runs_started_total").increment(1);
        }
        let seq = folded.as_ref().map_or(0, |folded| folded.seq);
        Ok(Opening::Ready(Box::new(Ready {
            run: run.clone(),
            execution: name.to_owned(),
            first_at: record.first_at(),
            quiet: is_quiet(&record),
            tenant: record.tenant,
            hash: record.definition_hash,
            source: linked.source,
            documents: linked.documents,
            input: record.input,
            by_events: record.by_events,
            state: folded.map(|folded| folded.run),
            seq,
            heard: self.is_heard().await?,
        })))
    }

    /// Performs a call; the answer is the run's next input.
    pub async fn call(
        &self,
        tenant: Tenant,
        run: RunId,
        op: u64,
        call: Call,
        secrets: Option<Value>,
    ) -> Input {
        self.outside.perform(Order { tenant, run, op }, call, secrets).await
    }

    /// Writes a turn of a run.
    pub async fn turn(&self, run: &RunId, turn: Turn) -> Result<Turned, Unable> {
        let Some(record) = self.store.any_run(run).await? else {
            return Ok(Turned { over: true, ..Turned::default() });
        };
        let definition = self.definition(&record).await?;
        let (mut answers, mut is_written) = (Vec::new(), false);
        if record.ended_at.is_none() {
            let (set, given) = self.rows(&record, &definition, &turn)?;
            answers = given;
            match self.store.submit(set).await {
                Ok(()) => is_written = true,
                // It was written before, and the answer was lost.
                Err(Error::Exists { .. }) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
        if !is_written {
            if record.ended_at.is_none() && !self.is_ours(run, &turn).await? {
                tracing::error!(run.id = %run, "somebody else drives this run; it is left to them");
                return Ok(Turned { over: true, ..Turned::default() });
            }
            answers = self.answered(&record, &turn).await?;
        }
        for op in &turn.abandoned {
            if let Some(child) = self.store.child(run, *op).await? {
                self.cancel(child).await?;
            }
        }
        let over = turn.ended.is_some() || record.ended_at.is_some();
        if let Some(Ended(outcome)) = &turn.ended {
            if is_written {
                let status = columns(outcome.clone()).0.as_str();
                metrics::counter!("openevent_runs_finished_total", "status" => status).increment(1);
            }
            if let Some(parent) = &record.parent {
                self.answer_parent(parent, answer(parent.op, outcome)).await?;
            }
        } else {
            self.compact(&record, &turn, definition).await;
        }
        Ok(Turned { answers, heard: self.is_heard().await?, over })
    }

    /// Cancels, suspends or resumes a run. `false`: it has ended or not begun, or it changed nothing.
    pub(crate) async fn control(
        &self,
        tenant: &Tenant,
        run: &RunId,
        control: Control,
        act: Option<AuditRecord>,
    ) -> Result<bool, Unheard> {
        let unheard = |cause: Unable| {
            tracing::warn!(error = %cause, "a run cannot be steered now");
            Unheard
        };
        let Some(record) = self.store.run(tenant, run).await.map_err(|cause| unheard(cause.into()))? else {
            return Ok(false);
        };
        if record.ended_at.is_some() {
            return Ok(false);
        }
        if record.handed_at.is_some() {
            let name = execution(run, record.retries);
            let asked = self.cluster.ask(name, control.input(), act).await.map_err(|away| {
                tracing::warn!(error = %away, "a run cannot be steered while its cluster is away");
                Unheard
            })?;
            return Ok(asked.unwrap_or(false));
        }
        if control != Control::Cancel {
            return Ok(false);
        }
        let mut set = self.dismissal(run).await.map_err(unheard)?;
        if let Some(act) = &act {
            set.add_audit(act);
        }
        match self.store.submit(set).await {
            Ok(()) => {}
            Err(Error::Missed(_)) => return Ok(false),
            Err(cause) => return Err(unheard(cause.into())),
        }
        if let Some(parent) = &record.parent {
            let answer = Input::Failed { op: parent.op, error: cancelled() };
            self.answer_parent(parent, answer).await.map_err(|_| Unheard)?;
        }
        Ok(true)
    }

    async fn definition(&self, record: &RunRecord) -> Result<Arc<Definition>, Unable> {
        let unreadable = || Unable::Unreadable(record.id.clone());
        if record.semantics != i64::from(openevent_flow::SEMANTICS) {
            return Err(unreadable());
        }
        self.registry.definition(&record.definition_hash).await?.ok_or_else(unreadable)
    }

    /// Whether anybody hears what runs live through.
    async fn is_heard(&self) -> Result<bool, Unable> {
        let lifecycle = self.settings.lifecycle;
        if lifecycle != Lifecycle::Listened {
            return Ok(lifecycle == Lifecycle::All);
        }
        let now = self.clock.now();
        if now - self.ears.lock().looked_at >= EARS_MS {
            let listens = self.store.listens_for_lifecycle().await?.into_iter();
            let names = listens.flat_map(|listen| {
                let of = move |name: String| (listen.tenant.clone(), name);
                listen.names.into_iter().flatten().filter(|name| is_lifecycle(name)).map(of)
            });
            *self.ears.lock() = Ears { looked_at: now, names: names.collect() };
        }
        let waits = !self.ears.lock().names.is_empty();
        Ok(waits || lifecycle::is_heard(lifecycle, &self.registry, &self.audience))
    }

    /// Whether somebody asks for a lifecycle event.
    fn is_wanted(&self, tenant: &Tenant, name: &str) -> bool {
        is_wanted(self.settings.lifecycle, (&self.registry, &self.audience), tenant, name)
            || self.ears.lock().names.iter().any(|(of, wanted)| of == tenant && wanted == name)
    }

    /// The rows of a turn, and what it is answered at once.
    fn rows(
        &self,
        record: &RunRecord,
        definition: &Definition,
        turn: &Turn,
    ) -> Result<(WriteSet, Vec<Input>), Unable> {
        let (run, now, tenant) = (&record.id, turn.at, &record.tenant);
        let spine = |seed: String| Spine::new(Arc::clone(&self.registry), Derived::of(seed));
        let (mut set, mut answers) = (WriteSet::new(), Vec::new());
        for act in &turn.acts {
            set.add_audit(act);
        }
        for entry in &turn.entries {
            let input = serde_json::to_string(&entry.input).map_err(|_| Unable::Broken)?;
            set.append_journal(run, entry.seq, entry.at, input);
        }
        for Emission { op, event } in &turn.emissions {
            let by = (tenant, is_quiet(record));
            answers.push(match admitted(&spine(format!("{run}/{op}")), by, event.clone(), now) {
                Ok(admitted) => {
                    let value = crate::driver::event_of(&admitted.signal);
                    admitted.write(&mut set);
                    Input::Done { op: *op, value }
                }
                Err(error) => Input::Failed { op: *op, error },
            });
        }
        let depth = record.parent.as_ref().map_or(0, |parent| parent.depth);
        let above = Above { tenant, run, depth, quiet: is_quiet(record) };
        for Offspring { op, child } in &turn.children {
            let (spine, wait) = (spine(format!("{run}/{op}")), child.wait);
            match child_run(&self.registry, &spine, &above, *op, child.clone(), now) {
                Ok(child) => {
                    set.add_run(Arc::new(child));
                    if wait == Wait::No {
                        answers.push(Input::Done { op: *op, value: Value::Null });
                    }
                }
                Err(error) => answers.push(Input::Failed { op: *op, error }),
            }
        }
        self.listens(record, turn, &mut set);
        let seed = format!("{}/turn {} at {now}", execution(run, record.retries), turn.number);
        let tales = spine(seed);
        for tale in &turn.tales {
            let name = format!("{PREFIX}{}.v1", tale.name);
            if self.is_wanted(tenant, &name)
                && let Some(admitted) = lifecycle::raise(&tales, tenant, &name, tale.data.clone(), now)
            {
                admitted.write(&mut set);
            }
        }
        if let Some(status) = turn.mark {
            set.mark_run(run, status.as_str());
        }
        if let Some(Ended(outcome)) = &turn.ended {
            let (status, output, error) = columns(outcome.clone());
            let (output, error) = (output.as_ref(), error.as_ref());
            set.end_run(run, &Ending { status: status.as_str(), output, error, at: now });
            set.end_listens(run);
            if let Some((path, hash, at)) = next_after(tenant, definition, now) {
                set.schedule_after(&path, &hash, at);
            }
        }
        Ok((set, answers))
    }

    /// What begins to be listened to, and what is over.
    fn listens(&self, record: &RunRecord, turn: &Turn, set: &mut WriteSet) {
        let (run, tenant) = (&record.id, &record.tenant);
        for listening in &turn.listens {
            set.listen(&ListenRecord {
                run: run.clone(),
                op: listening.op,
                tenant: tenant.clone(),
                names: listening.names.clone(),
                hears_lifecycle: listening.names.iter().flatten().any(|name| is_lifecycle(name)),
                since: listening.since - self.settings.lookback_ms,
                execution: execution(run, record.retries),
                state: ListenState::New,
            });
        }
        for op in &turn.unlistens {
            set.end_listen(run, *op);
        }
    }

    /// Whether what stands in the place of a turn's entries is the turn: it is, unless two clusters, or a cluster and an
    /// embedded engine, are let loose on one database.
    async fn is_ours(&self, run: &RunId, turn: &Turn) -> Result<bool, Unable> {
        let Some(ours) = turn.entries.first() else { return Ok(true) };
        let input = serde_json::to_string(&ours.input).map_err(|_| Unable::Broken)?;
        let there = self.store.journal(run).await?.into_iter().find(|entry| entry.seq == ours.seq);
        // What a snapshot stands for was ours when it was written.
        Ok(there.is_none_or(|entry| entry.at == ours.at && entry.input == input))
    }

    /// What a turn that was written before was answered.
    async fn answered(&self, record: &RunRecord, turn: &Turn) -> Result<Vec<Input>, Unable> {
        let mut answers = Vec::new();
        for Emission { op, .. } in &turn.emissions {
            let chance = Derived::of(format!("{}/{op}", record.id));
            let id = openevent_domain::id::SignalId::mint(turn.at, chance.as_ref());
            answers.push(match self.store.signal(&record.tenant, &id).await? {
                Some(signal) => Input::Done { op: *op, value: crate::restore::event(signal) },
                None => Input::Failed {
                    op: *op,
                    error: Fault::new(FaultKind::Validation, "the event was refused"),
                },
            });
        }
        for Offspring { op, child } in &turn.children {
            match self.store.child(&record.id, *op).await? {
                Some(_) if child.wait == Wait::No => {
                    answers.push(Input::Done { op: *op, value: Value::Null });
                }
                // Said by the child's own end as well: whichever comes first counts.
                Some(child) if child.ended_at.is_some() => answers.push(answer_of(*op, child)),
                Some(_) => {}
                None => answers.push(Input::Failed {
                    op: *op,
                    error: Fault::new(FaultKind::Configuration, "the workflow could not be run"),
                }),
            }
        }
        Ok(answers)
    }

    /// Cancels a run because the one that waits for it no longer does.
    async fn cancel(&self, child: RunRecord) -> Result<(), Unable> {
        if child.ended_at.is_some() {
            return Ok(());
        }
        match self.store.submit(self.dismissal(&child.id).await?).await {
            Ok(()) => return Ok(()),
            // It was handed over, or has ended.
            Err(Error::Missed(_)) => {}
            Err(cause) => return Err(cause.into()),
        }
        let name = execution(&child.id, child.retries);
        if !self.cluster.tell(name, vec![Input::Cancel]).await? {
            let is_live = self.store.any_run(&child.id).await?.is_some_and(|run| run.ended_at.is_none());
            if is_live {
                // On its way there: it is asked again.
                return Err(
                    super::Away("a run that is to be cancelled has not set out yet".to_owned()).into()
                );
            }
        }
        Ok(())
    }

    /// Ends a run that nobody drives yet; its journal says why, as those of others do.
    async fn dismissal(&self, run: &RunId) -> Result<WriteSet, Unable> {
        let seq = past::read(&self.store, run).await?.last_seq() + 1;
        let (mut set, now) = (WriteSet::new(), self.clock.now());
        set.dismiss(run, now);
        let entry = serde_json::to_string(&Input::Cancel).map_err(|_| Unable::Broken)?;
        set.append_journal(run, seq, now, entry);
        Ok(set)
    }

    async fn answer_parent(&self, parent: &Parent, answer: Input) -> Result<(), Unable> {
        let Some(above) = self.store.any_run(&parent.run).await?.filter(|run| run.ended_at.is_none()) else {
            return Ok(());
        };
        self.cluster.tell(execution(&above.id, above.retries), vec![answer]).await?;
        Ok(())
    }

    /// Ends a run whose journal is damaged.
    async fn give_up(&self, record: &RunRecord) -> Result<(), Unable> {
        let fault = Fault::new(FaultKind::Runtime, "the run's journal is damaged");
        let error = serde_json::to_value(&fault).ok();
        let (mut set, at) = (WriteSet::new(), self.clock.now());
        set.end_run(&record.id, &Ending { status: "faulted", output: None, error: error.as_ref(), at });
        set.end_listens(&record.id);
        self.store.submit(set).await?;
        if let Some(parent) = &record.parent {
            self.answer_parent(parent, Input::Failed { op: parent.op, error: fault }).await?;
        }
        Ok(())
    }

    /// Makes a long journal shorter. It may fail without harm.
    async fn compact(&self, record: &RunRecord, turn: &Turn, definition: Arc<Definition>) {
        let (Some(first), Some(last)) = (turn.entries.first(), turn.entries.last()) else { return };
        if first.seq.saturating_sub(1) / COMPACT_EVERY != last.seq / COMPACT_EVERY
            && let Err(cause) = crate::compact::compact(&self.store, &record.id, last.seq, definition).await
        {
            tracing::debug!(run.id = %record.id, error = %cause, "a journal was not made shorter; later");
        }
    }
}

/// Whether nobody is told of a run's life.
fn is_quiet(record: &RunRecord) -> bool {
    record.parent.as_ref().is_some_and(|parent| parent.quiet)
        || (record.by_events && starts_quietly(&record.input))
}
