//! Who may begin: how many runs of a workflow go on at a time, how soon after each other, and which not at all.
//!
//! Invariant: decided from the runs' own times and keys alone, so a restart decides the same; a run that is let in
//! counts from that moment, one that left counts no more.
//! Not here: beginning and ending runs (`gating`), keys (`flow`).

use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_flow::{Concurrency, Controls, Debounce, Definition, Idempotency, Keys, Over, Throttle};
use std::collections::{BTreeMap, BTreeSet};

/// Idempotency keys that are remembered before old ones are looked for.
const SEEN_MAX: usize = 10_000;

/// What a definition says of its runs among each other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    concurrency: Option<Concurrency>,
    debounce: Option<Debounce>,
    throttle: Option<Throttle>,
    idempotency: Option<Idempotency>,
}

impl From<&Controls> for Rules {
    fn from(controls: &Controls) -> Self {
        let Controls { concurrency, debounce, throttle, idempotency, .. } = controls;
        Self {
            concurrency: *concurrency,
            debounce: *debounce,
            throttle: *throttle,
            idempotency: *idempotency,
        }
    }
}

impl Rules {
    /// How far back runs that have ended still matter.
    pub(crate) fn horizon_ms(&self) -> i64 {
        let throttle = self.throttle.map_or(0, |throttle| throttle.period_ms);
        throttle.max(self.idempotency.map_or(0, |idempotency| idempotency.period_ms))
    }
}

/// Whether the runs of a definition wait at a gate before they begin: their row then says whether they have.
pub fn has_gate(definition: &Definition) -> bool {
    let Some(controls) = definition.controls() else { return false };
    let Rules { concurrency, debounce, throttle, idempotency } = Rules::from(controls);
    concurrency.is_some() || debounce.is_some() || throttle.is_some() || idempotency.is_some()
}

/// What is to be done with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It begins now.
    Begin(RunId),
    /// It ends without having begun.
    TurnAway(RunId, Reason),
    /// It goes on, and is cancelled for another.
    Cancel(RunId),
}

/// Why a run does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// `idempotency`.
    Repeated,
    /// `debounce`.
    Overtaken,
    /// `concurrency` with the strategy `reject`.
    Full,
}

impl Reason {
    /// In words, for the run's error.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Repeated => "idempotency: a run with this key was started before",
            Self::Overtaken => "debounce: a later run with this key took its place",
            Self::Full => "concurrency: as many runs with this key as may go on at a time went on",
        }
    }
}

/// A run that waits.
#[derive(Clone, Debug)]
struct Waiting {
    started_at: Millis,
    rules: Rules,
    keys: Keys,
}

type Key = Option<String>;

/// One workflow's gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Who waits, by key of `concurrency`, oldest first.
    waiting: BTreeMap<Key, BTreeMap<RunId, Waiting>>,
    /// Who goes on, by key of `concurrency`, in the order they began.
    active: BTreeMap<Key, BTreeSet<(Millis, RunId)>>,
    /// Who began, by key of `throttle`.
    begun: BTreeMap<Key, BTreeSet<(Millis, RunId)>>,
    /// The last run that was accepted, by key of `idempotency`.
    seen: BTreeMap<String, (Millis, RunId)>,
    /// The last run that waits, by key of `debounce`.
    calming: BTreeMap<Key, (Millis, RunId)>,
    /// Keys of `concurrency` for which something has changed.
    touched: BTreeSet<Key>,
    /// When something changes by itself.
    due_at: Option<Millis>,
    /// How far back it remembers.
    pub(crate) horizon_ms: Option<i64>,
}

impl Gate {
    /// A run asks to begin.
    pub(crate) fn enter(&mut self, id: &RunId, started_at: Millis, rules: Rules, keys: Keys) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if let (Some(idempotency), Some(key)) = (rules.idempotency, &keys.idempotency) {
            let since = started_at - idempotency.period_ms;
            if self.seen.get(key).is_some_and(|(at, first)| first != id && *at > since) {
                return vec![Verdict::TurnAway(id.clone(), Reason::Repeated)];
            }
            self.see(key, started_at, id, since);
        }
        if let Some(debounce) = rules.debounce {
            let before = self.calming.insert(keys.debounce.clone(), (started_at, id.clone()));
            if let Some((at, before)) = before
                && started_at < at + debounce.period_ms
                && self.remove(&before)
            {
                verdicts.push(Verdict::TurnAway(before, Reason::Overtaken));
            }
        }
        self.touched.insert(keys.concurrency.clone());
        let waiting = Waiting { started_at, rules, keys };
        self.waiting.entry(waiting.keys.concurrency.clone()).or_default().insert(id.clone(), waiting);
        verdicts
    }

    fn see(&mut self, key: &str, at: Millis, id: &RunId, since: Millis) {
        if self.seen.len() >= SEEN_MAX {
            self.seen.retain(|_, (at, _)| *at > since);
        }
        self.seen.insert(key.to_owned(), (at, id.clone()));
    }

    /// A run that had begun before a restart and goes on.
    pub(crate) fn rejoin(&mut self, id: &RunId, begun_at: Millis, key: &Key) {
        self.active.entry(key.clone()).or_default().insert((begun_at, id.clone()));
    }

    /// A run that began before a restart, whether it goes on or not.
    pub(crate) fn remember(&mut self, id: &RunId, started_at: Millis, begun_at: Millis, keys: Keys) {
        self.begun.entry(keys.throttle).or_default().insert((begun_at, id.clone()));
        if let Some(key) = keys.idempotency {
            let last = self.seen.entry(key).or_insert_with(|| (started_at, id.clone()));
            if last.0 < started_at {
                *last = (started_at, id.clone());
            }
        }
    }

    /// A run has ended.
    pub(crate) fn leave(&mut self, id: &RunId, begun_at: Millis, key: &Key) {
        if let Some(active) = self.active.get_mut(key) {
            active.remove(&(begun_at, id.clone()));
            if active.is_empty() {
                self.active.remove(key);
            }
        }
        if self.waiting.contains_key(key) {
            self.touched.insert(key.clone());
        }
    }

    /// A run waits no longer. `false`: it did not.
    pub(crate) fn remove(&mut self, id: &RunId) -> bool {
        let found = self.waiting.iter_mut().find_map(|(key, runs)| Some((key.clone(), runs.remove(id)?)));
        let Some((key, _)) = found else { return false };
        if self.waiting.get(&key).is_some_and(BTreeMap::is_empty) {
            self.waiting.remove(&key);
        }
        self.touched.insert(key);
        true
    }

    /// When it has to be asked again although nobody came or left.
    pub(crate) fn due_at(&self) -> Option<Millis> {
        self.due_at
    }

    /// Whether somebody came or left since it was last asked, or a time is due.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        !self.touched.is_empty() || self.due_at.is_some_and(|at| at <= now)
    }

    /// Lets in whoever may begin now, at most `max` of them.
    pub(crate) fn decide(&mut self, now: Millis, max: usize) -> Vec<Verdict> {
        if self.due_at.is_some_and(|at| at <= now) {
            self.touched.extend(self.waiting.keys().cloned());
            self.due_at = None;
        }
        let mut verdicts = Vec::new();
        while verdicts.len() < max
            && let Some(key) = self.touched.pop_first()
        {
            self.decide_key(&key, now, max, &mut verdicts);
        }
        verdicts
    }

    fn decide_key(&mut self, key: &Key, now: Millis, max: usize, verdicts: &mut Vec<Verdict>) {
        let Some(mut queue) = self.waiting.remove(key) else { return };
        let mut kept = BTreeMap::new();
        while let Some((id, waiting)) = queue.pop_first() {
            if verdicts.len() >= max {
                self.touched.insert(key.clone());
                kept.insert(id, waiting);
                break;
            }
            if let Some(ready_at) = self.not_before(&waiting, now) {
                self.due_at = Some(self.due_at.map_or(ready_at, |at| at.min(ready_at)));
                kept.insert(id, waiting);
                continue;
            }
            match self.place(key, &waiting) {
                Place::Free => {}
                Place::Instead(oldest) => verdicts.extend(oldest.into_iter().map(Verdict::Cancel)),
                Place::None(Over::Reject) => {
                    verdicts.push(Verdict::TurnAway(id, Reason::Full));
                    continue;
                }
                Place::None(_) => {
                    kept.insert(id, waiting);
                    break;
                }
            }
            self.active.entry(key.clone()).or_default().insert((now, id.clone()));
            if waiting.rules.throttle.is_some() {
                self.begun.entry(waiting.keys.throttle).or_default().insert((now, id.clone()));
            }
            verdicts.push(Verdict::Begin(id));
        }
        kept.append(&mut queue);
        if !kept.is_empty() {
            self.waiting.insert(key.clone(), kept);
        }
    }

    /// The time a run has to wait for, if it has to: until it is quiet, until the pace allows one more.
    fn not_before(&mut self, waiting: &Waiting, now: Millis) -> Option<Millis> {
        if let Some(debounce) = waiting.rules.debounce {
            let quiet_at = waiting.started_at + debounce.period_ms;
            if now < quiet_at {
                return Some(quiet_at);
            }
        }
        let throttle = waiting.rules.throttle?;
        let begun = self.begun.get_mut(&waiting.keys.throttle)?;
        while begun.first().is_some_and(|(at, _)| at + throttle.period_ms <= now) {
            begun.pop_first();
        }
        let over = (begun.len() + 1).checked_sub(throttle.limit.max(1) as usize)?;
        let leaves = over.checked_sub(1)?;
        begun.iter().nth(leaves).map(|(at, _)| at + throttle.period_ms)
    }

    /// Whether there is room for a run, perhaps in the place of others.
    fn place(&mut self, key: &Key, waiting: &Waiting) -> Place {
        let Some(Concurrency { limit, over, .. }) = waiting.rules.concurrency else { return Place::Free };
        let limit = limit.max(1) as usize;
        let Some(active) = self.active.get_mut(key).filter(|active| active.len() >= limit) else {
            return Place::Free;
        };
        if over != Over::CancelOldest {
            return Place::None(over);
        }
        let mut oldest = Vec::new();
        while active.len() >= limit {
            oldest.extend(active.pop_first().map(|(_, id)| id));
        }
        Place::Instead(oldest)
    }
}

/// Room for one more.
enum Place {
    Free,
    Instead(Vec<RunId>),
    None(Over),
}

#[cfg(test)]
mod tests;
