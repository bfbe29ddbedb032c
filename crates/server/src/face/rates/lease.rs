//! A node's share of a window's calls, where several nodes count one window together.
//!
//! Invariant: what is admitted was lent by the store before, or is owed to it when it is away. A lease is about what this
//! node needs for a second, less when little is left, and no node keeps one it does not use.
//! Not here: the store, who waits (see `desk`, `meter`).

use super::Urgency;
use openevent_domain::ambient::Millis;
use openevent_domain::rate::Limit;

/// How long a lease is meant to last, and after twice which time what is left of it is given back.
const LEASE_MS: i64 = 1_000;
/// How long a window in which nothing was left is not asked about again.
const SPENT_MS: i64 = 500;
/// The largest lease, as a part of what is left.
const PARTS: u32 = 16;

/// What a lease says to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// It may go on.
    Admitted,
    /// The window has no calls left.
    Refused,
    /// The store has to be asked.
    Empty,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    /// Calls that may be admitted without asking.
    free: u32,
    /// Calls of the window that nobody had when the store last answered; unknown before.
    left: Option<u32>,
    /// What was lent last.
    size: u32,
    asked_at: Millis,
    /// Calls that wait for an answer.
    pub(super) waiting: u32,
    pub(super) is_asking: bool,
    /// Calls that were admitted while the store was away, and that it has not been told of.
    owed: i64,
    /// What the store is being told.
    telling: i64,
}

impl Lease {
    pub(super) fn draw(&mut self, now: Millis) -> Draw {
        if self.free > 0 {
            self.free -= 1;
            return Draw::Admitted;
        }
        let is_spent = self.left == Some(0) && now - self.asked_at < SPENT_MS;
        if is_spent { Draw::Refused } else { Draw::Empty }
    }

    /// Takes one call back.
    pub(super) fn give_back(&mut self) {
        self.free += 1;
    }

    /// Another window has begun: nothing of the last one counts in it.
    pub(super) fn roll(&mut self) {
        *self = Self { waiting: self.waiting, is_asking: self.is_asking, ..Self::default() };
    }

    /// Calls of the window that are left, as far as this node knows.
    pub(super) fn remaining(&self, limit: Limit) -> u32 {
        self.left.unwrap_or(limit.calls).saturating_add(self.free).min(limit.calls)
    }

    /// How many calls to ask for: those that wait, and what the coming second may need.
    pub(super) fn want(&mut self, limit: Limit, now: Millis) -> u32 {
        let lasted_ms = (now - self.asked_at).max(1);
        let in_a_second = i64::from(self.size) * LEASE_MS / lasted_ms;
        let size = in_a_second.clamp(1, i64::from(self.size.max(1)) * 2) as u32;
        self.asked_at = now;
        self.waiting.max(size.min(self.left.unwrap_or(limit.calls) / PARTS)).max(1)
    }

    /// The store has answered.
    pub(super) fn lent(&mut self, granted: u32, left: u32) {
        self.free += granted;
        (self.size, self.left) = (granted, Some(left));
    }

    /// The store is away: as many calls are admitted all the same, as far as there were some left, and told later.
    pub(super) fn trust(&mut self, calls: u32) {
        let calls = self.left.map_or(calls, |left| calls.min(left));
        self.free += calls;
        self.owed += i64::from(calls);
        (self.size, self.left) = (calls, self.left.map(|left| left - calls));
    }

    /// Whether there is something to give back or to tell, now or soon.
    pub(super) fn is_open(&self) -> bool {
        self.free > 0 || self.owed != 0
    }

    /// What the store is to be told: calls that are owed, less those given back because they were not used in time.
    pub(super) fn tell(&mut self, now: Millis, urgency: Urgency) -> i64 {
        let is_idle = !self.is_asking && now - self.asked_at >= 2 * LEASE_MS;
        let returned = if is_idle || urgency == Urgency::Last { std::mem::take(&mut self.free) } else { 0 };
        self.left = self.left.map(|left| left.saturating_add(returned));
        self.telling = std::mem::take(&mut self.owed) - i64::from(returned);
        self.telling
    }

    /// It could not be told, or may have been: what is owed stays so, what was given back is given up.
    pub(super) fn untold(&mut self) {
        self.owed += std::mem::take(&mut self.telling).max(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { calls: 1_000, window_ms: 3_600_000 };

    /// A lease that asks whenever it is empty, of a store where all is left.
    fn spend(lease: &mut Lease, calls: u32, mut now: Millis, pause_ms: i64) -> u32 {
        let mut asks = 0;
        for _ in 0..calls {
            if lease.draw(now) == Draw::Empty {
                let want = lease.want(LIMIT, now);
                lease.lent(want, LIMIT.calls);
                assert_eq!(lease.draw(now), Draw::Admitted);
                asks += 1;
            }
            now += pause_ms;
        }
        asks
    }

    #[test]
    fn a_lease_grows_to_what_a_second_needs_and_shrinks_again() {
        let mut lease = Lease::default();
        let first = spend(&mut lease, 1_000, 5_000, 20);
        assert!((20..40).contains(&first), "{first} asks in twenty seconds");
        lease.tell(100_000, Urgency::Usual);
        let later = spend(&mut lease, 10, 100_000, 5_000);
        assert_eq!((later, lease.size), (10, 1));
    }

    #[test]
    fn little_is_lent_when_little_is_left() {
        let mut lease = Lease::default();
        lease.lent(100, 31);
        assert_eq!(lease.want(LIMIT, 1), 1);
        lease.waiting = 7;
        assert_eq!(lease.want(LIMIT, 2), 7, "those who wait are not kept waiting");
    }

    #[test]
    fn a_spent_window_is_not_asked_about_by_every_call() {
        let mut lease = Lease::default();
        lease.want(LIMIT, 1_000);
        lease.lent(0, 0);
        assert_eq!(lease.draw(1_000 + SPENT_MS - 1), Draw::Refused);
        assert_eq!(lease.draw(1_000 + SPENT_MS), Draw::Empty, "others may have given back");
    }

    #[test]
    fn what_is_not_used_is_given_back_and_what_is_owed_is_told() {
        let mut lease = Lease::default();
        lease.want(LIMIT, 1_000);
        lease.lent(5, 100);
        assert_eq!((lease.tell(2_999, Urgency::Usual), lease.tell(3_000, Urgency::Usual)), (0, -5));
        assert_eq!(lease.remaining(LIMIT), 105);
        lease.untold();
        assert_eq!(lease.tell(3_000, Urgency::Usual), 0, "it may have been written: not twice");

        lease.want(LIMIT, 3_000);
        lease.trust(3);
        lease.draw(3_000);
        assert_eq!(lease.tell(3_000, Urgency::Usual), 3);
        lease.untold();
        assert_eq!(lease.tell(3_000, Urgency::Last), 1, "owed three, two of which were not used");
    }
}
