//! The gate before runs whose workflow says how many may go on: who waits is kept here, who may is asked there.
//!
//! Invariant: a run is let in by the commit that begins it, guarded by its row; until then it has not begun for
//! anybody. Memory is a cache: the same runs wait after a restart, in the same order.
//! Not here: the rules (`gate`).

use crate::batch::Batch;
use crate::clockwork::next_after;
use crate::driver::{Driver, Lost, TURN_MAX};
use crate::gate::{Gate, Rules, Verdict};
use crate::live::Beginning;
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Definition, Fault, FaultKind, Input, Keys};
use openevent_store::Path;
use openevent_store::runs::RunRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Earlier runs that are looked at after a restart.
const EARLIER_MAX: i64 = 100_000;

/// All gates, and who waits before them.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    by_path: BTreeMap<Path, Gate>,
    waiting: BTreeMap<RunId, Waiting>,
    /// Gates somebody came to or left.
    touched: BTreeSet<Path>,
    /// Gates that have to be asked at a time.
    due: BTreeSet<(Millis, Path)>,
}

#[derive(Debug)]
struct Waiting {
    beginning: Beginning,
    definition: Arc<Definition>,
    path: Path,
    keys: Keys,
}

/// Where a run was let in.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    path: Path,
    key: Option<String>,
    begun_at: Millis,
}

impl Gates {
    /// When some gate has to be asked again; at once if somebody came or left.
    pub(crate) fn next(&self, now: Millis) -> Option<Millis> {
        if self.touched.is_empty() { self.due.first().map(|(at, _)| *at) } else { Some(now) }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn touch(&mut self, path: &Path) {
        self.touched.insert(path.clone());
    }

    /// A run that was let in has ended.
    pub(crate) fn leave(&mut self, id: &RunId, inside: &Inside) {
        if let Some(gate) = self.by_path.get_mut(&inside.path) {
            gate.leave(id, inside.begun_at, &inside.key);
            self.touched.insert(inside.path.clone());
        }
    }

    /// Takes a run away from those who wait.
    fn take(&mut self, id: &RunId) -> Option<Waiting> {
        let waiting = self.waiting.remove(id)?;
        if let Some(gate) = self.by_path.get_mut(&waiting.path) {
            gate.remove(id);
        }
        self.touch(&waiting.path);
        Some(waiting)
    }

    /// Whether a tenant's run waits.
    pub(crate) fn holds(&self, tenant: &Tenant, id: &RunId) -> bool {
        self.waiting.get(id).is_some_and(|waiting| waiting.beginning.tenant == *tenant)
    }
}

fn path_of(tenant: &Tenant, definition: &Definition) -> Path {
    Path {
        tenant: tenant.clone(),
        namespace: definition.namespace().to_owned(),
        name: definition.name().to_owned(),
    }
}

fn written(keys: &Keys) -> String {
    serde_json::json!([keys.concurrency, keys.debounce, keys.throttle, keys.idempotency]).to_string()
}

fn read(text: &str) -> Keys {
    let [concurrency, debounce, throttle, idempotency] = serde_json::from_str(text).unwrap_or_default();
    Keys { concurrency, debounce, throttle, idempotency }
}

impl Driver {
    /// A run whose workflow has rules asks to begin.
    pub(crate) async fn enter_gate(
        &mut self,
        beginning: Beginning,
        definition: Arc<Definition>,
        batch: &mut Batch,
    ) -> Result<(), Lost> {
        let Some(controls) =
            definition.controls().filter(|_| !self.gates.waiting.contains_key(&beginning.id))
        else {
            return Ok(());
        };
        let (path, rules) = (path_of(&beginning.tenant, &definition), Rules::from(controls));
        let keys = controls.keys(&beginning.input);
        self.open_gate(&path, rules, batch.now).await?;
        let (id, started_at) = (beginning.id.clone(), beginning.started_at);
        let (keys, fault) = match keys {
            Ok(keys) => (keys, None),
            Err(fault) => (Keys::default(), Some(fault)),
        };
        let waiting = Waiting { beginning, definition, path: path.clone(), keys: keys.clone() };
        self.gates.waiting.insert(id.clone(), waiting);
        if fault.is_some() {
            self.turn_away(id, fault, batch);
            return Ok(());
        }
        self.gates.touch(&path);
        let verdicts = self.gates.by_path.entry(path).or_default().enter(&id, started_at, rules, keys);
        self.heed(verdicts, batch);
        Ok(())
    }

    /// A run that had been let in before a restart goes on.
    pub(crate) async fn rejoin_gate(
        &mut self,
        record: &RunRecord,
        definition: &Definition,
        now: Millis,
    ) -> Result<Option<Inside>, Lost> {
        let (Some(controls), Some(begun_at)) = (definition.controls(), record.begun_at) else {
            return Ok(None);
        };
        let keys = controls.keys(&record.input).unwrap_or_default();
        let (path, rules) = (path_of(&record.tenant, definition), Rules::from(controls));
        self.open_gate(&path, rules, now).await?;
        let inside = Inside { key: keys.concurrency, begun_at, path };
        self.gates.by_path.entry(inside.path.clone()).or_default().rejoin(&record.id, begun_at, &inside.key);
        Ok(Some(inside))
    }

    /// Remembers what began lately, once for each gate.
    async fn open_gate(&mut self, path: &Path, rules: Rules, now: Millis) -> Result<(), Lost> {
        let horizon_ms = rules.horizon_ms();
        let gate = self.gates.by_path.entry(path.clone()).or_default();
        if gate.horizon_ms.is_some_and(|known_ms| known_ms >= horizon_ms) {
            return Ok(());
        }
        let earlier = if horizon_ms == 0 {
            Vec::new()
        } else {
            let read = self.store.begun_since(path, now - horizon_ms, EARLIER_MAX).await;
            read.map_err(|cause| crate::restore::lost(&cause))?
        };
        for one in earlier {
            gate.remember(&one.id, one.started_at, one.begun_at, self::read(&one.keys));
        }
        gate.horizon_ms = Some(horizon_ms);
        Ok(())
    }

    /// Asks every gate that somebody came to or left, or whose time has come.
    pub(crate) fn pass_gates(&mut self, batch: &mut Batch) {
        while let Some((at, path)) = self.gates.due.first().cloned()
            && at <= batch.now
        {
            self.gates.due.remove(&(at, path.clone()));
            self.gates.touched.insert(path);
        }
        let mut left = TURN_MAX;
        while left > 0
            && let Some(path) = self.gates.touched.pop_first()
        {
            let Some(gate) = self.gates.by_path.get_mut(&path) else { continue };
            let verdicts = gate.decide(batch.now, left);
            let (is_due, due_at) = (gate.is_due(batch.now), gate.due_at());
            left = left.saturating_sub(verdicts.len());
            if is_due {
                self.gates.touch(&path);
            } else if let Some(at) = due_at {
                self.gates.due.insert((at, path));
            }
            self.heed(verdicts, batch);
        }
    }

    fn heed(&mut self, verdicts: Vec<Verdict>, batch: &mut Batch) {
        for verdict in verdicts {
            match verdict {
                Verdict::Begin(id) => self.let_in(&id, batch),
                Verdict::TurnAway(id, reason) => {
                    self.turn_away(id, Some(Fault::new(FaultKind::Runtime, reason.words())), batch);
                }
                Verdict::Cancel(id) => {
                    if let Some(handle) = self.by_id.get(&id).copied() {
                        self.advance(handle, Input::Cancel, batch);
                    } else if let Some(abroad) = &self.abroad {
                        abroad.courier.tell(id, Input::Cancel);
                    }
                }
            }
        }
    }

    fn let_in(&mut self, id: &RunId, batch: &mut Batch) {
        let Some(Waiting { beginning, definition, path, keys }) = self.gates.waiting.remove(id) else {
            return;
        };
        batch.let_in(id.clone(), written(&keys));
        let inside = Inside { path, key: keys.concurrency, begun_at: batch.now };
        self.launch(beginning, definition, Some(inside), batch);
    }

    /// Ends a run that has not begun, and answers the one that waits for it.
    pub(crate) fn turn_away(&mut self, run: RunId, error: Option<Fault>, batch: &mut Batch) {
        if let Some(waiting) = self.gates.take(&run) {
            let Waiting { beginning, definition, .. } = waiting;
            batch.after.extend(next_after(&beginning.tenant, &definition, batch.now));
            if let Some(parent) = beginning.parent {
                let error = error.clone().unwrap_or_else(crate::children::cancelled);
                self.answer_parent(&parent.run, Input::Failed { op: parent.op, error }, batch);
            }
        }
        batch.turned_away.push((run, error.and_then(|error| serde_json::to_value(error).ok())));
    }
}
