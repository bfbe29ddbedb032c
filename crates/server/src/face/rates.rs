//! Rate limits: exact counts in memory, written behind.
//!
//! Invariant: a meter's count and the decision about a call happen under one lock, so of n calls at once on a
//! limit of m exactly m are admitted. No call waits for the database.
//! Not here: window arithmetic (the domain's), who has which limit (see `keyring`).

use openevent_domain::ambient::Millis;
use openevent_domain::id::{KeyId, UserId};
use openevent_domain::rate::{HOUR_MS, Limit, Verdict};
use openevent_store::rates::Count;
use openevent_store::{Error, Store, WriteSet};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses that are told apart at one time; more share one meter.
pub const ADDRESSES_MAX: usize = 100_000;
/// How stale a key's stored time of last use may get.
const TOUCH_EVERY_MS: i64 = 30_000;

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An API key.
    Key(KeyId),
    /// A client address.
    Address(IpAddr),
    /// All addresses beyond [`ADDRESSES_MAX`].
    Crowd,
    /// What a client address leaves here without a credential.
    Intake(IpAddr),
    /// The same of all addresses beyond [`ADDRESSES_MAX`].
    IntakeCrowd,
    /// The static token.
    Operator,
    /// A person, in all their sessions.
    User(UserId),
    /// An address somebody tries to sign in from.
    SignIn(IpAddr),
    /// An account somebody tries to sign in to: the hash of its e-mail address, whether there is one or not.
    Account(String),
    /// All tries beyond [`ADDRESSES_MAX`].
    Tries,
}

impl Subject {
    fn text(&self) -> String {
        match self {
            Self::Key(id) => id.to_string(),
            Self::Address(address) => format!("ip:{address}"),
            Self::Crowd => "ip:*".to_owned(),
            Self::Intake(address) => format!("intake:{address}"),
            Self::IntakeCrowd => "intake:*".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::User(id) => id.to_string(),
            Self::SignIn(address) => format!("sign-in:{address}"),
            Self::Account(hash) => format!("account:{hash}"),
            Self::Tries => "sign-in:*".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("ip", "*")) => Some(Self::Crowd),
            Some(("ip", address)) => address.parse().ok().map(Self::Address),
            Some(("intake", "*")) => Some(Self::IntakeCrowd),
            Some(("intake", address)) => address.parse().ok().map(Self::Intake),
            Some(("sign-in", "*")) => Some(Self::Tries),
            Some(("sign-in", address)) => address.parse().ok().map(Self::SignIn),
            Some(("account", hash)) => Some(Self::Account(hash.to_owned())),
            _ if text == "operator" => Some(Self::Operator),
            _ => KeyId::parse(text).map(Self::Key).or_else(|| UserId::parse(text).map(Self::User)),
        }
    }
}

/// The count of one subject.
#[derive(Debug)]
pub struct Meter {
    subject: Subject,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    window_start: Millis,
    calls: u32,
    last_used_at: Millis,
    touched_at: Millis,
    is_dirty: bool,
}

impl State {
    fn roll(&mut self, limit: Limit, now: Millis) {
        let start = limit.window_start(now);
        if start > self.window_start {
            self.window_start = start;
            self.calls = 0;
        }
    }

    fn verdict(&self, limit: Limit, admitted: bool) -> Verdict {
        Verdict {
            limit: limit.calls,
            remaining: limit.calls.saturating_sub(self.calls),
            reset: self.window_start + limit.window_ms,
            admitted,
        }
    }
}

/// All meters.
#[derive(Debug, Default)]
pub struct Rates {
    meters: Mutex<HashMap<Subject, Arc<Meter>>>,
    dirty: Mutex<Vec<Arc<Meter>>>,
    swept_at: Mutex<Millis>,
}

impl Rates {
    /// The meters as they were when the last process ended.
    pub async fn load(store: &Store, now: Millis) -> Result<Self, Error> {
        let rates = Self::default();
        for count in store.counts(now - HOUR_MS).await? {
            if let Some(subject) = Subject::parse(&count.subject) {
                let calls = u32::try_from(count.calls).unwrap_or(u32::MAX);
                rates.adopt(subject, State { window_start: count.window_start, calls, ..State::default() });
            }
        }
        Ok(rates)
    }

    fn adopt(&self, subject: Subject, state: State) {
        let meter = Meter { subject: subject.clone(), state: Mutex::new(state) };
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
        let fresh = || Arc::new(Meter { subject: subject.clone(), state: Mutex::default() });
        Arc::clone(meters.entry(subject.clone()).or_insert_with(fresh))
    }

    /// Counts a call and decides about it. A refused call is not counted.
    pub fn hit(&self, meter: &Arc<Meter>, limit: Limit, now: Millis) -> Verdict {
        let mut state = meter.state.lock();
        state.roll(limit, now);
        state.last_used_at = state.last_used_at.max(now);
        let admitted = state.calls < limit.calls;
        if admitted {
            state.calls += 1;
        }
        let verdict = state.verdict(limit, admitted);
        let is_news = !std::mem::replace(&mut state.is_dirty, true);
        drop(state);
        if is_news {
            self.dirty.lock().push(Arc::clone(meter));
        }
        verdict
    }

    /// Takes a call back that was counted: it was none of those the limit is for.
    pub fn give_back(&self, meter: &Meter) {
        let mut state = meter.state.lock();
        state.calls = state.calls.saturating_sub(1);
    }

    /// What a call would be told, without counting it.
    pub fn peek(&self, subject: &Subject, limit: Limit, now: Millis) -> Verdict {
        let meter = self.meters.lock().get(subject).cloned();
        let mut state = State::default();
        if let Some(meter) = meter {
            let known = meter.state.lock();
            state = State { window_start: known.window_start, calls: known.calls, ..State::default() };
        }
        state.roll(limit, now);
        state.verdict(limit, state.calls < limit.calls)
    }

    /// Writes down what changed since the last call. Run it about twice a second, and once at the end.
    pub async fn flush(&self, store: &Store, now: Millis, urgency: Urgency) -> Result<(), Error> {
        let dirty = std::mem::take(&mut *self.dirty.lock());
        let mut set = WriteSet::new();
        for meter in &dirty {
            meter.write_down(&mut set, urgency);
        }
        if self.sweep(now) {
            set.forget_counts(now - 2 * HOUR_MS);
        }
        if set.is_empty() {
            return Ok(());
        }
        let done = store.submit(set).await;
        if done.is_err() {
            self.put_back(dirty);
        }
        done
    }

    fn put_back(&self, meters: Vec<Arc<Meter>>) {
        for meter in meters {
            if !std::mem::replace(&mut meter.state.lock().is_dirty, true) {
                self.dirty.lock().push(Arc::clone(&meter));
            }
        }
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

impl Meter {
    fn write_down(&self, set: &mut WriteSet, urgency: Urgency) {
        let mut state = self.state.lock();
        state.is_dirty = false;
        set.put_count(&Count {
            subject: self.subject.text(),
            window_start: state.window_start,
            calls: i64::from(state.calls),
        });
        let Subject::Key(id) = &self.subject else { return };
        if urgency == Urgency::Last || state.last_used_at - state.touched_at >= TOUCH_EVERY_MS {
            state.touched_at = state.last_used_at;
            set.touch_key(id, state.last_used_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { calls: 2, window_ms: HOUR_MS };

    #[test]
    fn a_window_admits_its_limit_and_the_next_begins_anew() {
        let rates = Rates::default();
        let meter = rates.meter(&Subject::Operator);
        let admitted: Vec<_> = (0..3).map(|_| rates.hit(&meter, LIMIT, 5).admitted).collect();
        assert_eq!(admitted, [true, true, false]);
        let next = rates.hit(&meter, LIMIT, HOUR_MS);
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
    fn subjects_read_back_from_their_text() {
        for subject in [
            Subject::Operator,
            Subject::Crowd,
            Subject::IntakeCrowd,
            Subject::Address(IpAddr::from([192, 0, 2, 1])),
            Subject::Intake(IpAddr::from([192, 0, 2, 1])),
            Subject::Intake("2001:db8::".parse().expect("an address")),
            Subject::Key(KeyId::trusted(format!("key_{}", "0".repeat(32)))),
            Subject::User(UserId::trusted(format!("usr_{}", "0".repeat(32)))),
            Subject::SignIn(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
            Subject::Account("abc".to_owned()),
            Subject::Tries,
        ] {
            assert_eq!(Subject::parse(&subject.text()), Some(subject));
        }
        assert_eq!(Subject::parse("who knows"), None);
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
