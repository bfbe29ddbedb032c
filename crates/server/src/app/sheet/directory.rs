//! Vendors and sponsors as tables.
//!
//! Invariant: an entry that is new waits for its review, as one made by the API does; reviews are not read from tables.
//! Not here: the rules (`app::directory`).

use super::export::{PAGE_ROWS, Pages};
use super::import::Verdict;
use super::stored::{Decide, Known, refused};
use super::{Column, Layout, Row};
use crate::app::audit::{Act, note_instance};
use crate::app::directory::{Viewer, alter, make, value};
use crate::face::caller::Caller;
use crate::face::problem::{FieldIssue, Problem};
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::form::Form;
use openevent_domain::planning::sheet::Kind;
use openevent_store::WriteSet;
use openevent_store::planning::directory::{EntryRecord, Filter, Place};
use serde_json::Value;
use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;

/// Entries that are looked at when a batch's names are looked up; when there are more, they are looked up one by one.
const FOUND_MAX: i64 = 2_000;

const SHOWN: &[(&str, Kind)] = &[
    ("status", Kind::Text),
    ("reviewedAt", Kind::Time),
    ("rejectionReason", Kind::Text),
    ("createdAt", Kind::Time),
    ("updatedAt", Kind::Time),
];

/// One half of the directory.
pub trait Half: Send + Sync + 'static {
    /// Which.
    const SIDE: Side;
    /// Its columns.
    const LAYOUT: &'static Layout;
    /// What the audit log calls its imports.
    const ACT: &'static str;
}

/// Those who sell.
#[derive(Debug)]
pub struct Vendors;

impl Half for Vendors {
    const SIDE: Side = Side::Vendor;
    const ACT: &'static str = "vendor.import";
    const LAYOUT: &'static Layout = &Layout {
        what: "vendors",
        columns: &[
            Column::new("name", Kind::Text),
            Column::new("category", Kind::Text),
            Column::new("description", Kind::Text),
            Column::new("services", Kind::Texts),
            Column::new("location", Kind::Text),
            Column::new("priceRange", Kind::Text),
            Column::new("website", Kind::Text),
            Column::new("logoUrl", Kind::Text),
            Column::new("rating", Kind::Number),
            Column::new("reviewCount", Kind::Number),
            Column::new("verified", Kind::Flag),
            Column::new("contactName", Kind::Text),
            Column::new("contactEmail", Kind::Text),
            Column::new("contactPhone", Kind::Text),
        ],
        shown: SHOWN,
        key: &["name"],
    };
}

/// Those who give.
#[derive(Debug)]
pub struct Sponsors;

impl Half for Sponsors {
    const SIDE: Side = Side::Sponsor;
    const ACT: &'static str = "sponsor.import";
    const LAYOUT: &'static Layout = &Layout {
        what: "sponsors",
        columns: &[
            Column::new("name", Kind::Text),
            Column::new("industry", Kind::Text),
            Column::new("description", Kind::Text),
            Column::new("sponsorshipTiers", Kind::Texts),
            Column::new("budgetMin", Kind::Number),
            Column::new("budgetMax", Kind::Number),
            Column::new("targetEventTypes", Kind::Texts),
            Column::new("targetAudience", Kind::Text),
            Column::new("website", Kind::Text),
            Column::new("logoUrl", Kind::Text),
            Column::new("verified", Kind::Flag),
            Column::new("contactName", Kind::Text),
            Column::new("contactEmail", Kind::Text),
            Column::new("contactPhone", Kind::Text),
        ],
        shown: SHOWN,
        key: &["name"],
    };
}

/// The entries a list shows.
pub struct Written<H> {
    app: Arc<App>,
    filter: Filter,
    viewer: Viewer,
    place: Place,
    half: PhantomData<H>,
}

impl<H: Half> Written<H> {
    /// From the beginning of the list.
    pub fn new(app: Arc<App>, filter: Filter, viewer: Viewer) -> Self {
        Self { app, filter, viewer, place: Place::Offset(0), half: PhantomData }
    }
}

impl<H: Half> Pages for Written<H> {
    const LAYOUT: &'static Layout = H::LAYOUT;

    async fn next(&mut self) -> Result<Vec<Value>, Problem> {
        let (rows, _) = self.app.store.entries(&self.filter, &self.place, PAGE_ROWS).await?;
        if let Some(last) = rows.last() {
            self.place = Place::After(last.rank, last.place, last.id.clone());
        }
        Ok(rows.iter().map(|row| value(row, self.viewer)).collect())
    }
}

/// Entries that are read.
pub struct Read<'a, H> {
    app: &'a App,
    caller: &'a Caller,
    now: Millis,
    half: PhantomData<H>,
}

impl<'a, H: Half> Read<'a, H> {
    /// Somebody's entries.
    pub fn new(app: &'a App, caller: &'a Caller, now: Millis) -> Self {
        Self { app, caller, now, half: PhantomData }
    }

    async fn known(&self, rows: &[Row]) -> Result<Known<EntryRecord>, Problem> {
        let (store, side) = (&self.app.store, H::SIDE);
        let ids: Vec<&str> = rows.iter().filter_map(|row| row.id.as_deref()).collect();
        let nameless = rows.iter().filter(|row| row.id.is_none());
        let names: Vec<&str> = nameless.filter_map(|row| row.text("name")).collect();
        let mut found = if ids.is_empty() { Vec::new() } else { store.entries_by_ids(side, &ids).await? };
        if !names.is_empty() {
            let together = store.entries_by_names(side, &names, FOUND_MAX).await?;
            if (together.len() as i64) < FOUND_MAX {
                found.extend(together);
            } else {
                for name in names {
                    found.extend(store.entries_by_names(side, &[name], FOUND_MAX).await?);
                }
            }
        }
        Ok(Known::of(found.into_iter().map(|entry| (entry.id.clone(), entry.profile.name.clone(), entry))))
    }

    fn one(
        &self,
        row: &Row,
        known: &Known<EntryRecord>,
        claimed: &mut HashSet<String>,
        set: &mut WriteSet,
    ) -> Result<Verdict, Problem> {
        let before = match known.find(row, H::LAYOUT) {
            Err(issue) => return Ok(Verdict::Refused(vec![issue])),
            Ok(before) => before,
        };
        let Some(before) = before else {
            let made = make(self.app, H::SIDE, set, Form::of(row.of_new()), self.now);
            return made.map(|(entry, _)| Verdict::Created(entry.id)).or_else(refused);
        };
        if !claimed.insert(before.id.clone()) {
            return Ok(Verdict::Refused(vec![FieldIssue::new("id", "is that of an earlier row")]));
        }
        match alter(set, before, Form::of(row.of_known(H::LAYOUT)), self.now) {
            Ok(Some(_)) => Ok(Verdict::Updated(before.id.clone())),
            Ok(None) => Ok(Verdict::Unchanged(before.id.clone())),
            Err(problem) => refused(problem),
        }
    }
}

impl<H: Half> Decide for Read<'_, H> {
    const LAYOUT: &'static Layout = H::LAYOUT;
    const ACT: &'static str = H::ACT;

    async fn decide(&self, rows: &[Row], set: &mut WriteSet) -> Result<Vec<Verdict>, Problem> {
        let known = self.known(rows).await?;
        let mut claimed = HashSet::new();
        rows.iter().map(|row| self.one(row, &known, &mut claimed, set)).collect()
    }

    fn note(&self, set: &mut WriteSet, act: Act<'_>) {
        note_instance(self.app, set, self.caller, act, self.now);
    }
}
