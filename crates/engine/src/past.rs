//! What a run has behind it: its snapshot and the journal's entries beyond.
//!
//! Invariant: the journal is read before the snapshot. A compaction in between then leaves entries the snapshot
//! stands for, which are skipped, and never a gap.
//! Not here: what follows from it (`restore`), making snapshots (`compact`).

use openevent_domain::id::RunId;
use openevent_flow::{Chronicle, Command, Definition, Input, Run};
use openevent_store::runs::{JournalEntry, RunRecord};
use openevent_store::snapshots::Snapshot;
use openevent_store::{Error, Store};
use std::collections::BTreeMap;

/// One run's past, as it is stored.
#[derive(Clone, Debug)]
pub struct Past {
    /// Whose it is.
    pub(crate) run_id: RunId,
    snapshot: Option<Snapshot>,
    journal: Vec<JournalEntry>,
}

/// The past cannot be read: a bug, or a damaged database.
#[derive(Debug, thiserror::Error)]
#[error("what is stored of a run's past does not read as it was written")]
pub struct Damaged;

/// A past, folded.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) run: Run,
    /// The last entry.
    pub(crate) seq: i64,
    /// The last entry the snapshot stands for.
    pub(crate) compacted: i64,
    /// What the last entry asked for.
    pub(crate) last: Vec<Command>,
}

/// Reads a run's past.
pub(crate) async fn read(store: &Store, run: &RunId) -> Result<Past, Error> {
    let journal = store.journal(run).await?;
    let snapshot = store.snapshot(run).await?;
    Ok(Past { run_id: run.clone(), snapshot, journal })
}

/// Reads the pasts of live runs between two ids.
pub(crate) async fn read_live(store: &Store, first: &RunId, last: &RunId) -> Result<Vec<Past>, Error> {
    let mut pasts: BTreeMap<RunId, Past> = BTreeMap::new();
    let of = |run: &RunId| Past::none(run);
    for entry in store.live_journals(first, last).await? {
        pasts.entry(entry.run_id.clone()).or_insert_with_key(of).journal.push(entry);
    }
    for snapshot in store.live_snapshots(first, last).await? {
        let run = snapshot.run_id.clone();
        pasts.entry(run).or_insert_with_key(of).snapshot = Some(snapshot);
    }
    Ok(pasts.into_values().collect())
}

impl Past {
    /// Reads a run's past.
    pub async fn read(store: &Store, run: &RunId) -> Result<Self, Error> {
        read(store, run).await
    }

    /// Of a run that has taken in nothing but its start.
    pub(crate) fn none(run: &RunId) -> Self {
        Self { run_id: run.clone(), snapshot: None, journal: Vec::new() }
    }

    /// Whether the run has taken in nothing but its start.
    pub(crate) fn is_empty(&self) -> bool {
        self.snapshot.is_none() && self.journal.is_empty()
    }

    /// The place of the last entry.
    pub fn last_seq(&self) -> i64 {
        let compacted = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        self.journal.last().map_or(0, |entry| entry.seq).max(compacted)
    }

    /// The run with its tasks.
    pub fn chronicle(self, record: &RunRecord, definition: &Definition) -> Result<Chronicle, Damaged> {
        let upto = self.last_seq();
        self.chronicle_upto(record, definition, upto)
    }

    /// The run with its tasks, as it was after an entry.
    pub(crate) fn chronicle_upto(
        self,
        record: &RunRecord,
        definition: &Definition,
        upto: i64,
    ) -> Result<Chronicle, Damaged> {
        let (mut chronicle, compacted) = if let Some(snapshot) = &self.snapshot {
            (state(snapshot)?, snapshot.seq)
        } else {
            let mut chronicle = Chronicle::new();
            chronicle.take(definition, record.first_at(), started(record));
            (chronicle, 0)
        };
        for entry in self.journal.iter().filter(|entry| entry.seq > compacted && entry.seq <= upto) {
            chronicle.take(definition, entry.at, input(entry)?);
        }
        Ok(chronicle)
    }

    /// The run, for the driver.
    pub(crate) fn fold(self, record: &RunRecord, definition: &Definition) -> Result<Folded, Damaged> {
        let seq = self.last_seq();
        let mut folded = Folded { seq, ..Folded::default() };
        match &self.snapshot {
            Some(snapshot) => {
                (folded.run, folded.compacted) = (state(snapshot)?.into_run(), snapshot.seq);
            }
            None => folded.last = folded.run.apply(definition, record.first_at(), started(record)).commands,
        }
        for entry in self.journal.iter().filter(|entry| entry.seq > folded.compacted) {
            folded.last = folded.run.apply(definition, entry.at, input(entry)?).commands;
        }
        Ok(folded)
    }
}

pub(crate) fn started(record: &RunRecord) -> Input {
    let run_id = record.id.as_str().to_owned();
    Input::Started { input: record.input.clone(), run_id, by_events: record.by_events }
}

fn state(snapshot: &Snapshot) -> Result<Chronicle, Damaged> {
    serde_json::from_str(&snapshot.state).map_err(|_| Damaged)
}

fn input(entry: &JournalEntry) -> Result<Input, Damaged> {
    serde_json::from_str(&entry.input).map_err(|_| Damaged)
}
