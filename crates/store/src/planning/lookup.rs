//! Many events or entries at one time, by ids or by what people call them: what imports compare their rows with.
//!
//! Invariant: one statement for any number of ids or names, so that a batch of rows costs no more trips than one row.
//! Not here: lists for people.

use super::directory::{self, EntryRecord};
use super::events::{self, EventRecord, Sort};
use crate::sql::{Dialect, Select};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::search::sort_key;
use openevent_domain::tenant::Tenant;

/// Ids that are looked for at one time.
const IDS_MAX: i64 = 10_000;

impl Store {
    /// Those of a tenant's events that have one of these ids.
    pub async fn events_by_ids(&self, tenant: &Tenant, ids: &[&str]) -> Result<Vec<EventRecord>, Error> {
        self.planned(by_ids(tenant, ids, self.dialect())).await
    }

    /// Those of a tenant's events that may be called one of these titles and start at one of these times, up to
    /// `limit`. Titles are compared by the beginning of their sort key: look closer.
    pub async fn events_by_titles(
        &self,
        tenant: &Tenant,
        titles: &[(&str, Millis)],
        limit: i64,
    ) -> Result<Vec<EventRecord>, Error> {
        self.planned(by_titles(tenant, titles, limit, self.dialect())).await
    }

    async fn planned(&self, select: Select) -> Result<Vec<EventRecord>, Error> {
        let rows = self.rows(select).await?.into_iter();
        rows.map(|row| events::record(row, Sort::Creation).map(|(record, _)| record)).collect()
    }

    /// Those entries that have one of these ids.
    pub async fn entries_by_ids(&self, side: Side, ids: &[&str]) -> Result<Vec<EntryRecord>, Error> {
        self.entered(among(side, "id", ids, IDS_MAX, self.dialect())).await
    }

    /// Those entries that may be called one of these names, up to `limit`. Names are compared by the beginning of their
    /// sort key: look closer.
    pub async fn entries_by_names(
        &self,
        side: Side,
        names: &[&str],
        limit: i64,
    ) -> Result<Vec<EntryRecord>, Error> {
        let names: Vec<String> = names.iter().map(|name| sort_key(name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.entered(among(side, "name_key", &names, limit, self.dialect())).await
    }

    async fn entered(&self, select: Select) -> Result<Vec<EntryRecord>, Error> {
        let rows = self.rows(select).await?.into_iter();
        rows.map(|row| directory::record(row).map(|(entry, _)| entry)).collect()
    }
}

fn by_ids(tenant: &Tenant, ids: &[&str], dialect: Dialect) -> Select {
    Select::new(events::COLUMNS, [])
        .then("seq FROM events")
        .then_arg("WHERE tenant =", tenant.as_str())
        .and_among("id", ids, dialect)
        .then_arg("LIMIT", IDS_MAX)
}

fn by_titles(tenant: &Tenant, titles: &[(&str, Millis)], limit: i64, dialect: Dialect) -> Select {
    let keys: Vec<String> = titles.iter().map(|(title, _)| sort_key(title)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let around = (Millis::MAX, Millis::MIN);
    let (first, last) = titles.iter().fold(around, |(first, last), (_, at)| (first.min(*at), last.max(*at)));
    Select::new(events::COLUMNS, [])
        .then("seq FROM events")
        .then_arg("WHERE tenant =", tenant.as_str())
        .and_among("title_key", &keys, dialect)
        .and("starts_at >=", first)
        .and("starts_at <=", last)
        .then_arg("LIMIT", limit)
}

fn among(side: Side, column: &str, texts: &[&str], limit: i64, dialect: Dialect) -> Select {
    Select::new(directory::COLUMNS, [])
        .then("seq FROM directory")
        .then_arg("WHERE side =", side.as_str())
        .and_among(column, texts, dialect)
        .then_arg("LIMIT", limit)
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let tenant = Tenant::trusted("x".into());
    vec![
        by_ids(&tenant, &["x"], dialect),
        by_titles(&tenant, &[("x", 0)], 1, dialect),
        among(Side::Vendor, "id", &["x"], 1, dialect),
        among(Side::Vendor, "name_key", &["x"], 1, dialect),
    ]
}
