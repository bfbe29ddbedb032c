//! Rows on their way into the store: decided on together, written in one commit, told to the audit log.
//!
//! Invariant: a batch that was decided on what somebody changed meanwhile is decided again, as a whole.
//! Not here: what a row means (`events`, `directory`, `parts`).

use super::import::{Effect, Table, Verdict};
use super::{ID, Layout, Row};
use crate::app::audit::Act;
use crate::app::events::ATTEMPTS_MAX;
use crate::face::problem::{FieldIssue, Problem};
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::ImportId;
use openevent_store::{Error, WriteSet};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;

/// What decides about rows whose home is the store.
pub trait Decide {
    /// Its columns.
    const LAYOUT: &'static Layout;
    /// What the audit log calls it.
    const ACT: &'static str;

    /// Decides about a batch: a verdict for each row, and what is to be written for all of them.
    fn decide(
        &self,
        rows: &[Row],
        set: &mut WriteSet,
    ) -> impl Future<Output = Result<Vec<Verdict>, Problem>> + Send;

    /// Tells the audit log.
    fn note(&self, set: &mut WriteSet, act: Act<'_>);
}

/// Rows on their way into the store.
pub struct Stored<'a, D> {
    app: &'a App,
    decide: D,
    id: ImportId,
}

impl<'a, D: Decide> Stored<'a, D> {
    /// One import.
    pub fn new(app: &'a App, decide: D, now: Millis) -> Self {
        Self { app, decide, id: ImportId::mint(now, app.chance.as_ref()) }
    }

    fn note(&self, set: &mut WriteSet, verdicts: &[Verdict]) {
        let ids =
            |wanted: fn(&Verdict) -> Option<&String>| verdicts.iter().filter_map(wanted).collect::<Vec<_>>();
        let created = ids(|verdict| if let Verdict::Created(id) = verdict { Some(id) } else { None });
        let updated = ids(|verdict| if let Verdict::Updated(id) = verdict { Some(id) } else { None });
        let counts = json!({"created": created.len(), "updated": updated.len()});
        let about = json!({"counts": counts, "created": created, "updated": updated});
        self.decide.note(set, Act::made(D::ACT, self.id.as_str(), &about));
    }
}

impl<D: Decide + Sync + Send> Table for Stored<'_, D> {
    const LAYOUT: &'static Layout = D::LAYOUT;

    async fn take(&mut self, rows: &[Row], effect: Effect) -> Result<Vec<Verdict>, Problem> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut set = WriteSet::new();
            let verdicts = self.decide.decide(rows, &mut set).await?;
            let is_bad = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Refused(_)));
            let is_held = effect == Effect::Tried || (effect == Effect::AllOrNothing && is_bad);
            if is_held || set.is_empty() {
                return Ok(verdicts);
            }
            self.note(&mut set, &verdicts);
            match self.app.store.submit(set).await {
                Ok(()) => return Ok(verdicts),
                // Somebody changed what was decided on.
                Err(Error::Missed(_) | Error::Exists { .. }) if attempt < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What is there already, found by id and by what tells rows apart.
#[derive(Debug)]
pub struct Known<R> {
    by_id: HashMap<String, R>,
    by_key: HashMap<String, Vec<String>>,
}

impl<R> Known<R> {
    /// Of records with their ids and keys; the same record may come twice.
    pub fn of(records: impl IntoIterator<Item = (String, String, R)>) -> Self {
        let mut known = Self { by_id: HashMap::new(), by_key: HashMap::new() };
        for (id, key, record) in records {
            if known.by_id.insert(id.clone(), record).is_none() {
                known.by_key.entry(key).or_default().push(id);
            }
        }
        known
    }

    /// What a row is about, if it is there.
    pub fn find(&self, row: &Row, layout: &Layout) -> Result<Option<&R>, FieldIssue> {
        if let Some(id) = &row.id {
            let found = self.by_id.get(id);
            return found.map(Some).ok_or_else(|| FieldIssue::new(ID, "is none of those that are here"));
        }
        match self.by_key.get(&row.key(layout)).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([id]) => Ok(self.by_id.get(id)),
            Some(_) => Err(FieldIssue::new(layout.key.join(", "), "is there more than once; give the id")),
        }
    }
}

/// A verdict on a row that a use case refused; what is not the row's fault ends the import.
pub fn refused(problem: Problem) -> Result<Verdict, Problem> {
    if problem.status().is_server_error() {
        return Err(problem);
    }
    let whole = || vec![FieldIssue::new("row", problem.message())];
    Ok(Verdict::Refused(problem.issues().map_or_else(whole, <[_]>::to_vec)))
}

impl Row {
    /// What tells it from others.
    pub fn key(&self, layout: &Layout) -> String {
        let part = |name: &&str| match self.fields.get(*name) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        layout.key.iter().map(part).collect::<Vec<_>>().join("\0")
    }
}
