//! Rate limits: exact counts in memory. One process alone writes them behind; nodes that share a database lease a
//! second's calls from it.
//!
//! Invariant: of n calls at once on a limit of m exactly m are admitted, on all nodes together. A call waits for the
//! database only when its node's lease is spent, and never on a node that is alone.
//! Not here: window arithmetic (the domain's), who has which limit (see `keyring`).

mod desk;
mod lease;
mod meter;
mod subject;

pub use meter::Meter;
pub use subject::Subject;

use desk::Desk;
use meter::{Drawn, State};
use openevent_domain::ambient::Millis;
use openevent_domain::rate::{HOUR_MS, Limit, Verdict};
use openevent_store::{Dialect, Error, Store, WriteSet};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Addresses that are told apart at one time; more share one meter.
pub const ADDRESSES_MAX: usize = 100_000;

/// All meters.
#[derive(Debug, Default)]
pub struct Rates {
    meters: Mutex<HashMap<Subject, Arc<Meter>>>,
    dirty: Mutex<Vec<Arc<Meter>>>,
    swept_at: Mutex<Millis>,
    /// Whether other nodes count the same windows.
    is_shared: bool,
    desk: Desk,
}

impl Rates {
    /// The meters as they were when the last process ended; where nodes count together the store knows.
    pub async fn load(store: &Store, now: Millis) -> Result<Self, Error> {
        if store.dialect() == Dialect::Postgres {
            return Ok(Self { is_shared: true, ..Self::default() });
        }
        let rates = Self::default();
        for count in store.counts(now - HOUR_MS).await? {
            if let Some(subject) = Subject::parse(&count.subject) {
                let calls = u32::try_from(count.calls).unwrap_or(u32::MAX);
                rates.adopt(subject, State::of(count.window_start, calls));
            }
        }
        Ok(rates)
    }

    fn adopt(&self, subject: Subject, state: State) {
        let meter = Meter::new(subject.clone(), state);
        self.meters.lock().insert(subject, Arc::new(meter));
    }

    /// The meter of a subject. Callers that keep it spare themselves the lookup.
    pub fn meter(&self, subject: &Subject) -> Arc<Meter> {
        let mut meters = self.meters.lock();
        if let Some(meter) = meters.get(subject) {
            return Arc::clone(meter);
        }
        let is_crowded = meters.len() >= ADDRESSES_MAX;
        let subject = match subject {
            Subject::Address(_) if is_crowded => Subject::Crowd,
            Subject::Intake(_) if is_crowded => Subject::IntakeCrowd,
            Subject::SignIn(_) | Subject::Account(_) if is_crowded => Subject::Tries,
            subject => subject.clone(),
        };
        let state = || if self.is_shared { State::shared() } else { State::default() };
        let fresh = || Arc::new(Meter::new(subject.clone(), state()));
        Arc::clone(meters.entry(subject.clone()).or_insert_with(fresh))
    }

    /// Counts a call and decides about it. A refused call is not counted.
    pub async fn hit(&self, meter: &Arc<Meter>, limit: Limit, now: Millis) -> Verdict {
        let verdict = match meter.draw(limit, now) {
            Drawn::Decided(verdict) => verdict,
            Drawn::Empty => meter.draw_waiting(limit, now, || self.desk.ask(meter, limit, now)).await,
        };
        self.is_news(meter);
        verdict
    }

    /// What it counted is to be written down.
    fn is_news(&self, meter: &Arc<Meter>) {
        if !std::mem::replace(&mut meter.state.lock().is_dirty, true) {
            self.dirty.lock().push(Arc::clone(meter));
        }
    }

    /// Takes a call back that was counted: it was none of those the limit is for.
    pub fn give_back(&self, meter: &Meter) {
        meter.give_back();
    }

    /// What a call would be told, without counting it.
    pub fn peek(&self, subject: &Subject, limit: Limit, now: Millis) -> Verdict {
        let meter = self.meters.lock().get(subject).cloned();
        let state = meter.map(|meter| meter.state.lock().clone());
        state.unwrap_or_default().peek(limit, now)
    }

    /// Leases calls for whoever waits, for ever. On a node that is alone nobody does.
    pub async fn lend(&self, store: &Store) {
        self.desk.lend(store).await;
    }

    /// Writes down what changed since the last call. Run it about twice a second, and once at the end.
    pub async fn flush(&self, store: &Store, now: Millis, urgency: Urgency) -> Result<(), Error> {
        let mut dirty = std::mem::take(&mut *self.dirty.lock());
        dirty.sort_by_cached_key(|meter| meter.subject.text());
        let mut set = WriteSet::new();
        for meter in &dirty {
            if meter.write_down(&mut set, now, urgency) {
                self.is_news(meter);
            }
        }
        if self.sweep(now) {
            set.forget_counts(now - 2 * HOUR_MS);
        }
        if set.is_empty() {
            return Ok(());
        }
        let done = store.submit(set).await;
        if done.is_err() {
            for meter in &dirty {
                meter.untold();
                self.is_news(meter);
            }
        }
        done
    }

    /// Once an hour, drops the meters nobody holds and whose window is over.
    fn sweep(&self, now: Millis) -> bool {
        let mut swept_at = self.swept_at.lock();
        if now - *swept_at < HOUR_MS {
            return false;
        }
        *swept_at = now;
        let is_alive = |meter: &Arc<Meter>| {
            let state = meter.state.lock();
            Arc::strong_count(meter) > 1 || state.is_dirty || state.window_start + HOUR_MS > now
        };
        self.meters.lock().retain(|_, meter| is_alive(meter));
        true
    }
}

/// How much a flush writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Counts, and times of last use that have become old.
    Usual,
    /// Everything: the process is about to end.
    Last,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { calls: 2, window_ms: HOUR_MS };

    #[tokio::test]
    async fn a_window_admits_its_limit_and_the_next_begins_anew() {
        let rates = Rates::default();
        let meter = rates.meter(&Subject::Operator);
        let mut admitted = Vec::new();
        for _ in 0..3 {
            admitted.push(rates.hit(&meter, LIMIT, 5).await.admitted);
        }
        assert_eq!(admitted, [true, true, false]);
        let next = rates.hit(&meter, LIMIT, HOUR_MS).await;
        assert_eq!((next.admitted, next.remaining, next.reset), (true, 1, 2 * HOUR_MS));
    }

    #[test]
    fn peeking_counts_nothing() {
        let rates = Rates::default();
        for _ in 0..5 {
            assert_eq!(rates.peek(&Subject::Operator, LIMIT, 5).remaining, 2);
        }
    }

    #[test]
    fn a_meter_somebody_holds_outlives_the_sweep() {
        let rates = Rates::default();
        let held = rates.meter(&Subject::Operator);
        rates.meter(&Subject::Crowd);
        assert!(rates.sweep(10 * HOUR_MS));
        assert!(Arc::ptr_eq(&held, &rates.meter(&Subject::Operator)));
        assert_eq!(rates.meters.lock().len(), 1);
    }
}
