//! Waking those who wait for commits: one engine by notices, any number of streams by a counter.
//!
//! Invariant: a full queue never blocks a commit. What does not fit is dropped and `missed` is set; the
//! engine then reads the database instead.
//! Not here: PostgreSQL's LISTEN (see `postgres::listen`), which only calls [`Wake::stir`].

use crate::notice::Notice;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Notices that may wait for the engine before it has to read the database.
pub const NOTICES_MAX: usize = 65_536;

/// Where commits are told.
#[derive(Debug)]
pub struct Wake {
    notices: flume::Sender<Notice>,
    receiver: flume::Receiver<Notice>,
    missed: AtomicBool,
    listening: AtomicBool,
    stirred: watch::Sender<u64>,
}

impl Default for Wake {
    fn default() -> Self {
        let (notices, receiver) = flume::bounded(NOTICES_MAX);
        Self {
            notices,
            receiver,
            missed: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            stirred: watch::Sender::new(0),
        }
    }
}

impl Wake {
    /// Tells a commit.
    pub(crate) fn tell(&self, notice: Notice) {
        if self.listening.load(Ordering::Acquire) && self.notices.try_send(notice).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Says that something was committed, here or on another node.
    pub(crate) fn stir(&self) {
        self.stirred.send_modify(|count| *count += 1);
    }

    /// The engine's queue. From now on notices are kept for it.
    pub fn notices(&self) -> flume::Receiver<Notice> {
        self.listening.store(true, Ordering::Release);
        self.receiver.clone()
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
