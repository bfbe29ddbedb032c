//! The directory: vendors and sponsors of the whole instance.
//!
//! Invariant: the columns that lists filter and sort by are derived from the entry in one place; lists for anybody
//! but admins name a review of `approved`.
//! Not here: whose duty a review is.

use super::search::Searchable;
use crate::sql::{Bulk, Dialect, Kind, Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, Write, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::planning::directory::{Profile, Review, Side};
use openevent_domain::planning::search::{Query, searchable, sort_key};

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryRecord {
    /// Its id.
    pub id: String,
    /// Which half it is in.
    pub side: Side,
    /// What is said of them.
    pub profile: Profile,
    /// What the admins say to it.
    pub review: Review,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// How well it was found.
    pub rank: i64,
}

/// Which entries a list shows.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Which half.
    pub side: Side,
    /// Only this word of review; `None` is all of them, for admins.
    pub review: Option<&'static str>,
    /// Only this category or industry.
    pub group: Option<String>,
    /// Only those that have all these words.
    pub search: Option<Query>,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After the row of this rank, time and id.
    After(i64, Millis, String),
}

static ADD: Bulk = Bulk::insert(
    "directory",
    &[
        ("review", Kind::Text),
        ("reviewed_at", Kind::Int),
        ("reason", Kind::Text),
        ("profile", Kind::Text),
        ("sort_word", Kind::Text),
        ("group_key", Kind::Text),
        ("search_name", Kind::Text),
        ("search_rest", Kind::Text),
        ("version", Kind::Int),
        ("updated_at", Kind::Int),
        ("id", Kind::Text),
        ("side", Kind::Text),
        ("created_at", Kind::Int),
    ],
    "",
);
static CHANGE: Sql = Sql::same(
    "UPDATE directory SET review = $1, reviewed_at = $2, reason = $3, profile = $4, sort_word = $5, group_key = $6, \
     search_name = $7, search_rest = $8, version = $9, updated_at = $10 WHERE id = $11 AND version = $12",
);
const COLUMNS: &str =
    "SELECT id, side, profile, review, reviewed_at, reason, version, created_at, updated_at,";
const GROUPS: &str = "SELECT DISTINCT sort_word FROM directory WHERE side = $1 AND review = 'approved' ORDER BY sort_word LIMIT $2";

const SEARCHABLE: Searchable =
    Searchable { table: "directory", index: "directory_search", first: "search_name" };

pub(crate) const STATEMENTS: &[&Sql] = &[&CHANGE];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

/// Rows a count looks at before it says "at least so many".
pub const COUNT_MAX: i64 = 100_000;

impl WriteSet {
    /// A new entry.
    pub fn add_entry(&mut self, entry: &EntryRecord) {
        let mut values = columns(entry);
        values.extend([entry.id.as_str().into(), entry.side.as_str().into(), entry.created_at.into()]);
        self.rows.push((&ADD, values));
    }

    /// An entry as it is now, which was at `version` when that was decided.
    pub fn change_entry(&mut self, entry: &EntryRecord, version: i64) {
        let mut args = columns(entry);
        args.extend([entry.id.as_str().into(), version.into()]);
        self.writes.push(Write {
            sql: &CHANGE,
            args,
            expect: Expect::One("the entry was changed meanwhile"),
        });
    }
}

impl Store {
    /// One entry.
    pub async fn entry(&self, side: Side, id: &str) -> Result<Option<EntryRecord>, Error> {
        self.row(by_id(side, id)).await?.map(record).transpose()
    }

    /// A page of entries: found by their name first, then the newest.
    pub async fn entries(
        &self,
        filter: &Filter,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<EntryRecord>, Error> {
        self.rows(list(filter, place, limit, self.dialect())).await?.into_iter().map(record).collect()
    }

    /// How many a list has, at most [`COUNT_MAX`].
    pub async fn entries_count(&self, filter: &Filter) -> Result<i64, Error> {
        self.count(filtered(Select::new("SELECT 1 AS one", []), filter, self.dialect()), COUNT_MAX).await
    }

    /// The categories or industries of what is approved, by name.
    pub async fn groups(&self, side: Side, limit: i64) -> Result<Vec<String>, Error> {
        let rows = self.rows(Select::new(GROUPS, [side.as_str().into(), limit.into()])).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }
}

/// What is derived from an entry, in the order of [`CHANGE`], which is also how a row of [`ADD`] begins.
fn columns(entry: &EntryRecord) -> Vec<Value> {
    let (profile, review) = (&entry.profile, &entry.review);
    vec![
        review.as_str().into(),
        review.at().into(),
        review.reason().into(),
        serde_json::to_string(profile).unwrap_or_default().into(),
        profile.group().into(),
        sort_key(profile.group()).into(),
        searchable(&profile.name).into(),
        profile.description.as_deref().map(searchable).unwrap_or_default().into(),
        entry.version.into(),
        entry.updated_at.into(),
    ]
}

fn by_id(side: Side, id: &str) -> Select {
    Select::new(COLUMNS, [])
        .then("CAST(0 AS BIGINT) FROM directory")
        .then_arg("WHERE side =", side.as_str())
        .and("id =", id)
}

fn filtered(select: Select, filter: &Filter, dialect: Dialect) -> Select {
    let select = select
        .then("FROM directory")
        .then_arg("WHERE side =", filter.side.as_str())
        .and_maybe("review =", filter.review)
        .and_maybe("group_key =", filter.group.as_deref().map(sort_key));
    match &filter.search {
        Some(query) => SEARCHABLE.only(select, query, dialect),
        None => select,
    }
}

fn ranked(select: Select, filter: &Filter, dialect: Dialect) -> Select {
    match &filter.search {
        Some(query) => SEARCHABLE.rank(select, query, dialect),
        None => select.then("CAST(0 AS BIGINT)"),
    }
}

fn list(filter: &Filter, place: &Place, limit: i64, dialect: Dialect) -> Select {
    let select = ranked(Select::new(COLUMNS, []), filter, dialect).then("AS rank");
    let mut select = filtered(select, filter, dialect);
    let by_rank = if filter.search.is_some() { "rank DESC, " } else { "" };
    let offset = match place {
        Place::Offset(rows) => *rows,
        Place::After(rank, at, id) => {
            select = match filter.search {
                Some(_) => ranked(select.then("AND ("), filter, dialect)
                    .then_arg(", created_at, id) < (", *rank)
                    .then_arg(",", *at),
                None => select.then_arg("AND (created_at, id) < (", *at),
            };
            select = select.then_arg(",", id.as_str()).then(")");
            0
        }
    };
    select
        .then(&format!("ORDER BY {by_rank}created_at DESC, id DESC"))
        .then_arg("LIMIT", limit)
        .then_arg("OFFSET", offset)
}

fn record(mut row: Row) -> Result<EntryRecord, Error> {
    let id = row.text()?;
    let side = row.text()?;
    let side = Side::parse(&side).ok_or_else(|| Error::Corrupt(format!("`{side}` is no side")))?;
    let profile = row.json()?;
    let (word, at, reason) = (row.text()?, row.int_or_null()?.unwrap_or_default(), row.text_or_null()?);
    let review = match word.as_str() {
        "approved" => Review::Approved { at },
        "rejected" => Review::Rejected { at, reason },
        _ => Review::Pending,
    };
    Ok(EntryRecord {
        id,
        side,
        profile,
        review,
        version: row.int()?,
        created_at: row.int()?,
        updated_at: row.int()?,
        rank: row.int()?,
    })
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let plain = Filter { side: Side::Vendor, review: None, group: None, search: None };
    let all = Filter {
        review: Some("approved"),
        group: Some("x".into()),
        search: Query::parse("x"),
        ..plain.clone()
    };
    let mut selects = vec![by_id(Side::Vendor, "x"), Select::new(GROUPS, ["x".into(), 1.into()])];
    for filter in [plain, all] {
        selects.push(list(&filter, &Place::Offset(0), 1, dialect));
        selects.push(list(&filter, &Place::After(0, 0, "x".into()), 1, dialect));
        selects.push(filtered(Select::new("SELECT 1 AS one", []), &filter, dialect));
    }
    selects
}
