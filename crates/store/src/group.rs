//! Group commit: what waits is written in one transaction; who fails, fails alone.
//!
//! Invariant: no timer. A group is what gathered while the last one was being written.
//! Not here: the drivers, which only execute a [`Plan`].

use crate::Error;
use crate::notice::Notice;
use crate::sql::Bulk;
use crate::value::Value;
use crate::wake::{Debts, Wake};
use crate::write::{Write, WriteSet};
use std::collections::HashSet;
use tokio::sync::oneshot;

/// A set on its way to disk.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) set: WriteSet,
    pub(crate) reply: oneshot::Sender<Result<(), Error>>,
}

/// Write sets that may wait for the writer; more and callers wait to hand theirs in.
pub(crate) const JOBS_MAX: usize = 8_192;
/// Sets in one transaction, unless configured.
pub(crate) const GROUP_MAX: usize = 1_024;

/// Everything a group writes, in order: bulk rows by table, then single statements.
pub(crate) struct Plan<'a> {
    pub(crate) bulks: Vec<(&'static Bulk, Vec<&'a [Value]>)>,
    pub(crate) writes: Vec<&'a Write>,
    pub(crate) stirs: bool,
    /// Which keys each bulk update has so far, by the update's address.
    updated: HashSet<(usize, &'a Value)>,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(jobs: &'a [Job]) -> Self {
        let mut plan = Self { bulks: Vec::new(), writes: Vec::new(), stirs: false, updated: HashSet::new() };
        for job in jobs {
            for (bulk, row) in &job.set.rows {
                plan.add(bulk, row);
            }
            plan.writes.extend(&job.set.writes);
            plan.stirs |= !job.set.notice.is_empty();
        }
        plan
    }

    /// Whether signals are among the rows.
    pub(crate) fn logs(&self) -> bool {
        self.bulks.iter().any(|(bulk, _)| bulk.table == "signals")
    }

    fn add(&mut self, bulk: &'static Bulk, row: &'a [Value]) {
        // PostgreSQL's UPDATE … FROM takes any one of two given rows with the same key: the second has to
        // be a statement of its own, as it is on SQLite.
        let again = bulk.is_update() && !self.updated.insert((std::ptr::from_ref(bulk).addr(), &row[0]));
        match self.bulks.iter_mut().rev().find(|(seen, _)| std::ptr::eq(*seen, bulk)) {
            Some((_, rows)) if !again => rows.push(row),
            _ => self.bulks.push((bulk, vec![row])),
        }
    }
}

/// Tells what a committed group made, in order and at once, then answers its callers.
pub(crate) fn committed(mut jobs: Vec<Job>, wake: &Wake) {
    let (mut told, mut debts) = (Notice::default(), Debts::default());
    let mut stirs = false;
    for job in &mut jobs {
        stirs |= job.set.notice.is_stirring();
        told.signals.append(&mut job.set.notice.signals);
        told.runs.append(&mut job.set.notice.runs);
        told.reopened.append(&mut job.set.notice.reopened);
        told.gathered.append(&mut job.set.notice.gathered);
        told.moved |= job.set.notice.moved;
        debts.deliveries.append(&mut job.set.notice.deliveries);
        debts.nudged |= job.set.notice.nudged;
        debts.webhooks_changed |= job.set.notice.webhooks_changed;
    }
    stirs |= !told.is_empty();
    wake.owe(debts);
    if stirs {
        wake.tell(told);
    }
    for job in jobs {
        let _ = job.reply.send(Ok(()));
    }
    if stirs {
        wake.stir();
    }
}

/// Answers every caller of a group that could not be written because the database is away.
pub(crate) fn away(jobs: Vec<Job>, cause: &Error) {
    let words = match cause {
        Error::Unavailable(source) => source.to_string(),
        other => other.to_string(),
    };
    for job in jobs {
        let _ = job.reply.send(Err(Error::away(&words)));
    }
}

/// Answers the caller of a set that was written alone and failed.
pub(crate) fn refused(jobs: Vec<Job>, cause: Error) {
    let mut cause = Some(cause);
    for job in jobs {
        let _ = job.reply.send(Err(cause.take().unwrap_or_else(|| Error::away("the group failed"))));
    }
}
