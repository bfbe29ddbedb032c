//! The count of one subject.
//!
//! Invariant: a count and the decision about a call happen under one lock.
//! Not here: which meters there are (see `rates`).

use super::Urgency;
use super::lease::{Draw, Lease};
use super::subject::Subject;
use openevent_domain::ambient::Millis;
use openevent_domain::rate::{Limit, Verdict};
use openevent_store::WriteSet;
use openevent_store::rates::{Ask, Count, Lent};
use parking_lot::Mutex;
use std::pin::pin;
use tokio::sync::Notify;

/// How stale a key's stored time of last use may get.
const TOUCH_EVERY_MS: i64 = 30_000;

/// The count of one subject.
#[derive(Debug)]
pub struct Meter {
    pub(super) subject: Subject,
    pub(super) state: Mutex<State>,
    /// Rung when the store has answered.
    answered: Notify,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) window_start: Millis,
    /// Calls admitted here.
    calls: u32,
    last_used_at: Millis,
    touched_at: Millis,
    pub(super) is_dirty: bool,
    /// Where several nodes count together; a process that is alone may admit every call of the window.
    lease: Option<Lease>,
}

/// What a call is told at once.
pub(super) enum Drawn {
    Decided(Verdict),
    Empty,
}

impl State {
    /// The state that a process before left.
    pub(super) fn of(window_start: Millis, calls: u32) -> Self {
        Self { window_start, calls, ..Self::default() }
    }

    /// The state of a meter that counts together with other nodes.
    pub(super) fn shared() -> Self {
        Self { lease: Some(Lease::default()), ..Self::default() }
    }

    fn roll_to(&mut self, window_start: Millis) {
        if window_start > self.window_start {
            self.window_start = window_start;
            self.calls = 0;
            self.lease.iter_mut().for_each(Lease::roll);
        }
    }

    fn verdict(&self, limit: Limit, admitted: bool) -> Verdict {
        let uncounted = limit.calls.saturating_sub(self.calls);
        let remaining = self.lease.as_ref().map_or(uncounted, |lease| lease.remaining(limit).min(uncounted));
        let reset = self.window_start + limit.window_ms;
        Verdict { limit: limit.calls, remaining, reset, admitted }
    }

    /// What a call would be told, without counting it.
    pub(super) fn peek(mut self, limit: Limit, now: Millis) -> Verdict {
        self.roll_to(limit.window_start(now));
        let verdict = self.verdict(limit, true);
        Verdict { admitted: verdict.remaining > 0, ..verdict }
    }

    fn draw(&mut self, limit: Limit, now: Millis) -> Drawn {
        self.roll_to(limit.window_start(now));
        self.last_used_at = self.last_used_at.max(now);
        let draw = match &mut self.lease {
            _ if self.calls >= limit.calls => Draw::Refused,
            Some(lease) => lease.draw(now),
            None => Draw::Admitted,
        };
        match draw {
            Draw::Empty => Drawn::Empty,
            Draw::Refused => Drawn::Decided(self.verdict(limit, false)),
            Draw::Admitted => {
                self.calls += 1;
                Drawn::Decided(self.verdict(limit, true))
            }
        }
    }
}

/// A call that waits; it may be given up at any time.
struct Waiting<'a>(&'a Meter);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.with_lease(|lease| lease.waiting -= 1);
    }
}

impl Meter {
    pub(super) fn new(subject: Subject, state: State) -> Self {
        Self { subject, state: Mutex::new(state), answered: Notify::new() }
    }

    fn with_lease<T>(&self, change: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        self.state.lock().lease.as_mut().map(change)
    }

    /// Decides about a call, if that can be done without asking.
    pub(super) fn draw(&self, limit: Limit, now: Millis) -> Drawn {
        self.state.lock().draw(limit, now)
    }

    /// Decides about a call; `ask` has the store asked.
    pub(super) async fn draw_waiting(&self, limit: Limit, now: Millis, ask: impl Fn()) -> Verdict {
        self.with_lease(|lease| lease.waiting += 1);
        let _waiting = Waiting(self);
        loop {
            let mut answered = pin!(self.answered.notified());
            answered.as_mut().enable();
            if let Drawn::Decided(verdict) = self.draw(limit, now) {
                return verdict;
            }
            if self.with_lease(|lease| !std::mem::replace(&mut lease.is_asking, true)) == Some(true) {
                ask();
            }
            answered.await;
        }
    }

    /// What the store is asked for.
    pub(super) fn ask(&self, limit: Limit, now: Millis) -> Ask {
        let mut state = self.state.lock();
        state.roll_to(limit.window_start(now));
        let wanted = state.lease.as_mut().map_or(0, |lease| lease.want(limit, now));
        Ask {
            subject: self.subject.text(),
            window_start: state.window_start,
            wanted: i64::from(wanted),
            calls_max: i64::from(limit.calls),
        }
    }

    /// What the store answered.
    pub(super) fn lent(&self, lent: &Lent, limit: Limit) {
        let mut state = self.state.lock();
        state.roll_to(lent.window_start);
        let is_present = lent.window_start == state.window_start;
        let left = i64::from(limit.calls) - lent.calls;
        if let Some(lease) = &mut state.lease {
            lease.is_asking = false;
            if is_present {
                lease.lent(count(lent.granted), count(left));
            }
        }
        self.answered.notify_waiters();
    }

    /// The store is away: this node counts alone, up to the limit, and says so later.
    pub(super) fn trust(&self, ask: &Ask, limit: Limit) {
        let mut state = self.state.lock();
        let uncounted = limit.calls.saturating_sub(state.calls);
        if let Some(lease) = &mut state.lease {
            lease.is_asking = false;
            lease.trust(count(ask.wanted).min(uncounted));
        }
        self.answered.notify_waiters();
    }

    /// Takes a call back that was counted.
    pub(super) fn give_back(&self) {
        let mut state = self.state.lock();
        let before = state.calls;
        state.calls = before.saturating_sub(1);
        if before > 0 {
            state.lease.iter_mut().for_each(Lease::give_back);
        }
    }

    /// Writes down what is news. Answers whether there will be more without another call.
    pub(super) fn write_down(&self, set: &mut WriteSet, now: Millis, urgency: Urgency) -> bool {
        let mut state = self.state.lock();
        state.is_dirty = false;
        let (subject, window_start) = (self.subject.text(), state.window_start);
        let is_open = match &mut state.lease {
            None => {
                set.put_count(&Count { subject, window_start, calls: i64::from(state.calls) });
                false
            }
            Some(lease) => {
                let calls = lease.tell(now, urgency);
                if calls != 0 {
                    set.add_calls(&Count { subject, window_start, calls });
                }
                lease.is_open()
            }
        };
        if let Subject::Key(id) = &self.subject
            && (urgency == Urgency::Last || state.last_used_at - state.touched_at >= TOUCH_EVERY_MS)
        {
            state.touched_at = state.last_used_at;
            set.touch_key(id, state.last_used_at);
        }
        is_open
    }

    /// What was to be written down could not be.
    pub(super) fn untold(&self) {
        self.with_lease(Lease::untold);
    }
}

fn count(calls: i64) -> u32 {
    u32::try_from(calls.max(0)).unwrap_or(u32::MAX)
}
