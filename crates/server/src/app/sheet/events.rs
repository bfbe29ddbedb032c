//! Events as a table.
//!
//! Invariant: a row does what the API would do with its fields, and raises the same signals in the same commit.
//! Not here: the rules (`app::events`).

use super::export::{PAGE_ROWS, Pages};
use super::import::Verdict;
use super::stored::{Decide, Known, refused};
use super::{Column, Layout, Row};
use crate::app::audit::{Act, note};
use crate::app::events::{alter, make, value};
use crate::face::caller::Caller;
use crate::face::problem::{FieldIssue, Problem};
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::planning::form::Form;
use openevent_domain::planning::sheet::Kind;
use openevent_store::WriteSet;
use openevent_store::planning::events::{EventRecord, Listing, Place};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Events that are looked at when a batch's titles are looked up; when there are more, they are looked up one by one.
const FOUND_MAX: i64 = 2_000;

/// The columns.
pub const LAYOUT: Layout = Layout {
    what: "events",
    columns: &[
        Column::new("title", Kind::Text),
        Column::new("startDate", Kind::Time),
        Column::new("endDate", Kind::Time),
        Column::new("timezone", Kind::Text),
        Column::kept("status", Kind::Text),
        Column::new("description", Kind::Text),
        Column::new("eventType", Kind::Text),
        Column::new("locationType", Kind::Text),
        Column::new("venueName", Kind::Text),
        Column::new("venueAddress", Kind::Text),
        Column::new("virtualPlatform", Kind::Text),
        Column::new("expectedAttendees", Kind::Number),
        Column::new("budget", Kind::Number),
        Column::new("budgetCurrency", Kind::Text),
        Column::new("isPublic", Kind::Flag),
        Column::new("seekingVendors", Kind::Flag),
        Column::new("seekingSponsors", Kind::Flag),
        Column::new("vendorCategories", Kind::Texts),
        Column::new("sponsorBenefits", Kind::Text),
        Column::new("requirements", Kind::Json),
        Column::new("publicVisibility", Kind::Json),
    ],
    shown: &[
        ("statusChangedAt", Kind::Time),
        ("cancelledFrom", Kind::Text),
        ("createdBy", Kind::Text),
        ("createdAt", Kind::Time),
        ("updatedAt", Kind::Time),
    ],
    key: &["title", "startDate"],
};

/// The events a list shows.
pub struct Written {
    app: Arc<App>,
    listing: Listing,
    place: Place,
}

impl Written {
    /// From the beginning of the list.
    pub fn new(app: Arc<App>, listing: Listing) -> Self {
        Self { app, listing, place: Place::Offset(0) }
    }
}

impl Pages for Written {
    const LAYOUT: &'static Layout = &LAYOUT;

    async fn next(&mut self) -> Result<Vec<Value>, Problem> {
        let rows = self.app.store.events(&self.listing, &self.place, PAGE_ROWS).await?;
        if let Some(last) = rows.last() {
            self.place = Place::After(last.key.clone(), last.event.id.clone());
        }
        Ok(rows.iter().map(|row| value(&row.event)).collect())
    }
}

/// Events that are read.
pub struct Read<'a> {
    /// The server.
    pub app: &'a App,
    /// Who sends them.
    pub caller: &'a Caller,
    /// When.
    pub now: Millis,
}

impl Decide for Read<'_> {
    const LAYOUT: &'static Layout = &LAYOUT;
    const ACT: &'static str = "event.import";

    async fn decide(&self, rows: &[Row], set: &mut WriteSet) -> Result<Vec<Verdict>, Problem> {
        let known = self.known(rows).await?;
        let mut claimed = HashSet::new();
        rows.iter().map(|row| self.one(row, &known, &mut claimed, set)).collect()
    }

    fn note(&self, set: &mut WriteSet, act: Act<'_>) {
        note(self.app, set, self.caller, act, self.now);
    }
}

impl Read<'_> {
    async fn known(&self, rows: &[Row]) -> Result<Known<EventRecord>, Problem> {
        let (store, tenant) = (&self.app.store, &self.caller.tenant);
        let ids: Vec<&str> = rows.iter().filter_map(|row| row.id.as_deref()).collect();
        let nameless = rows.iter().filter(|row| row.id.is_none());
        let keys: Vec<_> = nameless
            .filter_map(|row| Some((row.text("title")?, row.fields.get("startDate")?.as_i64()?)))
            .collect();
        let mut found = if ids.is_empty() { Vec::new() } else { store.events_by_ids(tenant, &ids).await? };
        if !keys.is_empty() {
            let together = store.events_by_titles(tenant, &keys, FOUND_MAX).await?;
            if (together.len() as i64) < FOUND_MAX {
                found.extend(together);
            } else {
                for key in keys {
                    found.extend(store.events_by_titles(tenant, &[key], FOUND_MAX).await?);
                }
            }
        }
        let named = |record: EventRecord| {
            let plan = &record.event.plan;
            let key = format!("{}\0{}", plan.title, plan.start_at);
            (record.event.id.as_str().to_owned(), key, record)
        };
        Ok(Known::of(found.into_iter().map(named)))
    }

    fn one(
        &self,
        row: &Row,
        known: &Known<EventRecord>,
        claimed: &mut HashSet<String>,
        set: &mut WriteSet,
    ) -> Result<Verdict, Problem> {
        let before = match known.find(row, &LAYOUT) {
            Err(issue) => return Ok(Verdict::Refused(vec![issue])),
            Ok(before) => before,
        };
        let Some(before) = before else {
            let made = make(self.app, self.caller, set, row.of_new(), self.now);
            return made.map(|(event, _)| Verdict::Created(event.id.as_str().to_owned())).or_else(refused);
        };
        let id = before.event.id.as_str().to_owned();
        if !claimed.insert(id.clone()) {
            return Ok(Verdict::Refused(vec![FieldIssue::new("id", "is that of an earlier row")]));
        }
        let fields = row.of_known(&LAYOUT);
        match alter(self.app, &self.caller.tenant, set, &before.event, Form::of(fields), self.now) {
            Ok((Some(_), _)) => Ok(Verdict::Updated(id)),
            Ok((None, _)) => Ok(Verdict::Unchanged(id)),
            Err(problem) => refused(problem),
        }
    }
}
