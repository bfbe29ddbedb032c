//! Waking those who wait for commits: one engine by notices, any number of streams by a counter.
//!
//! Invariant: a full queue never blocks a commit. What does not fit is dropped and `missed` is set; the
//! engine then reads the database instead.
//! Not here: PostgreSQL's LISTEN (see `postgres::listen`), which only calls [`Wake::stir`].

use crate::notice::{NewDelivery, Notice};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Notices that may wait for the engine before it has to read the database.
pub(crate) const NOTICES_MAX: usize = 65_536;

/// Commits with deliveries that may wait for their sender before it has to read the database.
const DEBTS_MAX: usize = 4_096;

/// What one commit made for whoever sends deliveries.
#[derive(Clone, Debug, Default)]
pub struct Debts {
    /// Deliveries that this node has in hand, in the order of their commit.
    pub deliveries: Vec<Arc<NewDelivery>>,
    /// Whether what is owed was changed otherwise.
    pub nudged: bool,
    /// Whether webhooks were changed.
    pub webhooks_changed: bool,
}

/// Where commits are told.
#[derive(Debug)]
pub struct Wake {
    notices: flume::Sender<Notice>,
    receiver: flume::Receiver<Notice>,
    missed: AtomicBool,
    listening: AtomicBool,
    signals_wanted: AtomicBool,
    debts: flume::Sender<Debts>,
    debtor: flume::Receiver<Debts>,
    owing: AtomicBool,
    debts_missed: AtomicBool,
    stirred: watch::Sender<u64>,
    stirred_elsewhere: watch::Sender<u64>,
    node: String,
}

impl Default for Wake {
    fn default() -> Self {
        let (notices, receiver) = flume::bounded(NOTICES_MAX);
        let (debts, debtor) = flume::bounded(DEBTS_MAX);
        Self {
            notices,
            receiver,
            missed: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            signals_wanted: AtomicBool::new(true),
            debts,
            debtor,
            owing: AtomicBool::new(false),
            debts_missed: AtomicBool::new(false),
            stirred: watch::Sender::new(0),
            stirred_elsewhere: watch::Sender::new(0),
            node: format!("{:016x}", RandomState::new().build_hasher().finish()),
        }
    }
}

impl Wake {
    /// Tells a commit, unless it holds nothing the engine waits for.
    pub(crate) fn tell(&self, notice: Notice) {
        let is_wanted = !notice.has_only_signals() || self.signals_wanted.load(Ordering::Acquire);
        if is_wanted && self.listening.load(Ordering::Acquire) && self.notices.try_send(notice).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Tells whoever sends deliveries what a commit made for it.
    pub(crate) fn owe(&self, debts: Debts) {
        let is_empty = debts.deliveries.is_empty() && !debts.nudged && !debts.webhooks_changed;
        if !is_empty && self.owing.load(Ordering::Acquire) && self.debts.try_send(debts).is_err() {
            self.debts_missed.store(true, Ordering::Release);
        }
    }

    /// The queue of whoever sends deliveries. From now on it is told of them.
    pub fn debts(&self) -> flume::Receiver<Debts> {
        self.owing.store(true, Ordering::Release);
        self.debtor.clone()
    }

    /// Whether one of its notices was dropped since the last call.
    pub fn take_debts_missed(&self) -> bool {
        self.debts_missed.swap(false, Ordering::AcqRel)
    }

    /// Says that something was committed, here or on another node.
    pub(crate) fn stir(&self) {
        self.stirred.send_modify(|count| *count += 1);
    }

    /// Says that another node committed something.
    pub(crate) fn stir_from_elsewhere(&self) {
        self.stir();
        self.stirred_elsewhere.send_modify(|count| *count += 1);
    }

    /// What this node's commits are signed with where others hear of them.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// A counter that moves with commits of other nodes.
    pub fn stirred_elsewhere(&self) -> watch::Receiver<u64> {
        self.stirred_elsewhere.subscribe()
    }

    /// The engine's queue. From now on notices are kept for it.
    pub fn notices(&self) -> flume::Receiver<Notice> {
        self.listening.store(true, Ordering::Release);
        self.receiver.clone()
    }

    /// Whether commits that only made signals are told. The engine turns it off while no run listens, and
    /// looks back when one begins to: it need not be woken for every message of a busy sender.
    pub fn want_signals(&self, wanted: bool) {
        self.signals_wanted.store(wanted, Ordering::Release);
    }

    /// Whether a notice was dropped since the last call.
    pub fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }

    /// A counter that moves with every commit that made signals or runs.
    pub fn stirred(&self) -> watch::Receiver<u64> {
        self.stirred.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::NewRun;
    use openevent_domain::id::RunId;
    use openevent_domain::tenant::Tenant;
    use std::sync::Arc;

    fn notice(n: usize) -> Notice {
        let run = NewRun {
            id: RunId::trusted(format!("run_{n}")),
            tenant: Tenant::trusted("t".into()),
            namespace: String::new(),
            name: String::new(),
            version: String::new(),
            definition_hash: String::new(),
            semantics: 1,
            event_id: None,
            input: Arc::default(),
            by_events: false,
            started_at: 0,
            parent: None,
        };
        Notice { runs: vec![Arc::new(run)], ..Notice::default() }
    }

    #[test]
    fn a_full_queue_blocks_nobody_and_says_that_something_was_missed() {
        let wake = Wake::default();
        let queue = wake.notices();
        (0..NOTICES_MAX).for_each(|n| wake.tell(notice(n)));
        let before = wake.take_missed();

        wake.tell(notice(NOTICES_MAX));

        assert_eq!((before, wake.take_missed(), wake.take_missed()), (false, true, false));
        let kept: Vec<_> = queue.try_iter().collect();
        assert_eq!(kept.len(), NOTICES_MAX);
        assert_eq!(kept[0].runs[0].id.as_str(), "run_0");
    }

    #[test]
    fn without_a_listener_nothing_is_kept_and_nothing_missed() {
        let wake = Wake::default();

        wake.tell(notice(0));

        assert!(wake.notices().is_empty() && !wake.take_missed());
    }
}
