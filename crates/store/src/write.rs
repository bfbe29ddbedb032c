//! A write is a value: statements with their arguments and the row counts they must hit.
//!
//! Invariant: a set commits as a whole or not at all, however many other sets share its transaction.
//! In a set, bulk rows are written before single statements.
//! Not here: executing it (see `group`).

use crate::notice::{NewDelivery, NewRun, NewSignal, Notice, Path};
use crate::sql::{Bulk, Sql};
use crate::value::Value;
use openevent_domain::id::RunId;
use std::sync::Arc;

/// How many rows a statement has to hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Any number.
    Any,
    /// Exactly one, or the set fails with [`crate::Error::Missed`] carrying these words.
    One(&'static str),
}

/// One statement of a set.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) sql: &'static Sql,
    pub(crate) args: Vec<Value>,
    pub(crate) expect: Expect,
}

/// What a use case wants written, all at once.
#[derive(Debug, Default)]
pub struct WriteSet {
    pub(crate) rows: Vec<(&'static Bulk, Vec<Value>)>,
    pub(crate) writes: Vec<Write>,
    pub(crate) notice: Notice,
    /// Whether it writes rows that long lists show.
    pub(crate) moves_lists: bool,
}

impl WriteSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.writes.is_empty()
    }

    pub(crate) fn holds_nul(&self) -> bool {
        let rows = self.rows.iter().flat_map(|(_, values)| values);
        rows.chain(self.writes.iter().flat_map(|write| &write.args)).any(Value::holds_nul)
    }

    pub(crate) fn row<const N: usize>(&mut self, bulk: &'static Bulk, values: [Value; N]) {
        debug_assert_eq!(bulk.columns.len(), N, "{}", bulk.table);
        self.rows.push((bulk, values.into()));
    }

    pub(crate) fn write<const N: usize>(&mut self, sql: &'static Sql, args: [Value; N], expect: Expect) {
        self.writes.push(Write { sql, args: args.into(), expect });
    }

    pub(crate) fn announce_signal(&mut self, signal: Arc<NewSignal>) {
        self.notice.signals.push(signal);
    }

    pub(crate) fn announce_delivery(&mut self, delivery: Arc<NewDelivery>) {
        if !delivery.holder.is_empty() {
            self.notice.deliveries.push(delivery);
        }
    }

    /// Lets whoever sends deliveries, on every node, look at what is owed and to whom.
    pub fn nudge_deliveries(&mut self) {
        self.notice.nudged = true;
    }

    pub(crate) fn announce_request(&mut self) {
        self.notice.requested = true;
    }

    pub(crate) fn announce_webhooks(&mut self) {
        self.notice.webhooks_changed = true;
    }

    pub(crate) fn announce_run(&mut self, run: Arc<NewRun>) {
        self.notice.runs.push(run);
    }

    pub(crate) fn announce_reopened(&mut self, run: RunId) {
        self.notice.reopened.push(run);
    }

    pub(crate) fn announce_moved(&mut self) {
        self.notice.moved = true;
    }

    pub(crate) fn announce_gathered(&mut self, path: Path) {
        if !self.notice.gathered.contains(&path) {
            self.notice.gathered.push(path);
        }
    }
}
