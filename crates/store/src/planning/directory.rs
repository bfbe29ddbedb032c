//! The directory: vendors and sponsors of the whole instance.
//!
//! Invariant: the columns that lists filter and sort by are derived from the entry in one place; lists for anybody
//! but admins name a review of `approved`.
//! Not here: whose duty a review is.

use super::finding::{self, Search, Start};
use super::search::{Beyond, Searchable, facet, text_tokens, title_tokens};
use super::unread::Document;
use crate::sql::{Bulk, Dialect, Kind, Select, Sql};
use crate::totals::TOTAL_MAX;
use crate::value::{Row, Value};
use crate::write::{Expect, Write, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::planning::directory::{Profile, Review, Side};
use openevent_domain::planning::search::{Query, sort_key};
use std::collections::BTreeMap;

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryRecord<P = Profile> {
    /// Its id.
    pub id: String,
    /// Which half it is in.
    pub side: Side,
    /// What is said of them.
    pub profile: P,
    /// What the admins say to it.
    pub review: Review,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// How well it was found; 0 unless it was searched for.
    pub rank: i64,
    /// Its place in the list it was found by: when it was stored, in the order of commits, or when it was made.
    pub place: i64,
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
    /// After the row of this rank, place and id.
    After(i64, i64, String),
}

static ADD: Bulk = Bulk::insert_searchable(
    "directory",
    &[
        ("review", Kind::Text),
        ("reviewed_at", Kind::Int),
        ("reason", Kind::Text),
        ("profile", Kind::Text),
        ("sort_word", Kind::Text),
        ("group_key", Kind::Text),
        ("search_title", Kind::Text),
        ("search_text", Kind::Text),
        ("facets", Kind::Text),
        ("name_key", Kind::Text),
        ("version", Kind::Int),
        ("updated_at", Kind::Int),
        ("id", Kind::Text),
        ("side", Kind::Text),
        ("created_at", Kind::Int),
    ],
);
static CHANGE: Sql = Sql::same(
    "UPDATE directory SET review = $1, reviewed_at = $2, reason = $3, profile = $4, sort_word = $5, group_key = $6, \
     search_title = $7, search_text = $8, facets = $9, name_key = $10, version = $11, updated_at = $12 \
     WHERE id = $13 AND version = $14",
);
pub(super) const COLUMNS: &str =
    "SELECT id, side, profile, review, reviewed_at, reason, version, created_at, updated_at,";
const GROUPS: &str = "SELECT DISTINCT sort_word FROM directory WHERE side = $1 AND review = 'approved' ORDER BY sort_word LIMIT $2";

const SEARCHABLE: Searchable = Searchable { table: "directory", index: "directory_search" };

pub(crate) const STATEMENTS: &[&Sql] = &[&CHANGE];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

impl WriteSet {
    /// A new entry.
    pub fn add_entry(&mut self, entry: &EntryRecord) {
        let mut values = columns(entry);
        values.extend([entry.id.as_str().into(), entry.side.as_str().into(), entry.created_at.into()]);
        self.rows.push((&ADD, values));
        self.moves_lists = true;
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
        self.moves_lists = true;
    }
}

impl Store {
    /// One entry.
    pub async fn entry(&self, side: Side, id: &str) -> Result<Option<EntryRecord>, Error> {
        let row = self.row(by_id(side, id)).await?;
        row.map(|row| record(row).map(|(entry, _)| entry)).transpose()
    }

    /// The names of entries, by their ids; those that are not there are left out.
    pub async fn entry_names(&self, side: Side, ids: &[&str]) -> Result<BTreeMap<String, String>, Error> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = self.rows(names(side, ids)).await?;
        let named = rows.into_iter().map(|mut row| {
            let id = row.text()?;
            let profile: Profile = row.json()?;
            Ok((id, profile.name))
        });
        named.collect()
    }

    /// A page of entries, found by their name first, then the newest; and how many there are: exactly up to 2000, at
    /// most 100 000 (10 000 of a search), and of long lists as it was some seconds ago.
    pub async fn entries<P: Document>(
        &self,
        filter: &Filter,
        place: &Place,
        limit: i64,
    ) -> Result<(Vec<EntryRecord<P>>, i64), Error> {
        let Some(query) = &filter.search else {
            let total = self.total(counted(filter), TOTAL_MAX).await?;
            let rows = self.rows(list(filter, place, limit)).await?;
            let entries = rows.into_iter().map(|row| record(row).map(|(entry, _)| entry));
            return Ok((entries.collect::<Result<_, _>>()?, total));
        };
        let start = match place {
            Place::Offset(rows) => Start::Offset(*rows),
            Place::After(rank, seq, _) => Start::After(*rank, *seq),
        };
        let (rows, total) = self.search(&Searched { filter, query }, start, limit).await?;
        let entries = rows.into_iter().map(|(pass, row)| {
            let (entry, seq) = record(row)?;
            Ok(EntryRecord { rank: pass.rank(), place: seq, ..entry })
        });
        Ok((entries.collect::<Result<_, Error>>()?, total))
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
        title_tokens(&profile.name).into(),
        text_tokens([Some(profile.name.as_str()), profile.description.as_deref()]).into(),
        facets(entry.side, Some(review.as_str()), Some(&sort_key(profile.group()))).join(" ").into(),
        sort_key(&profile.name).into(),
        entry.version.into(),
        entry.updated_at.into(),
    ]
}

/// What lists filter by, as the search index knows it.
fn facets(side: Side, review: Option<&str>, group: Option<&str>) -> Vec<String> {
    let side = Some(facet('h', side.as_str()));
    let known = [side, review.map(|word| facet('d', word)), group.map(|group| facet('g', group))];
    known.into_iter().flatten().collect()
}

/// Entries that are searched for.
struct Searched<'a> {
    filter: &'a Filter,
    query: &'a Query,
}

impl Search for Searched<'_> {
    fn searchable(&self) -> &'static Searchable {
        &SEARCHABLE
    }

    fn columns(&self) -> &'static str {
        COLUMNS
    }

    fn query(&self) -> Option<&Query> {
        Some(self.query)
    }

    fn facets(&self) -> Vec<String> {
        let group = self.filter.group.as_deref().map(sort_key);
        facets(self.filter.side, self.filter.review, group.as_deref())
    }

    fn beyond(&self, _: Dialect) -> Option<Beyond<'_>> {
        None
    }

    fn filtered(&self, select: Select, dialect: Dialect) -> Select {
        filtered(select, self.filter, "AND", hidden(dialect))
    }
}

fn by_id(side: Side, id: &str) -> Select {
    Select::new(COLUMNS, [])
        .then("seq FROM directory")
        .then_arg("WHERE side =", side.as_str())
        .and("id =", id)
}

fn names(side: Side, ids: &[&str]) -> Select {
    let select =
        Select::new("SELECT id, profile FROM directory WHERE side = $1 AND id IN (", [side.as_str().into()]);
    let listed = ids
        .iter()
        .enumerate()
        .fold(select, |select, (n, id)| select.then_arg(if n == 0 { "" } else { "," }, *id));
    listed.then(")")
}

/// `word side = …` and the other filters; `hidden` is put before columns for which no index is to be chosen.
fn filtered(select: Select, filter: &Filter, word: &str, hidden: &str) -> Select {
    select
        .then_arg(&format!("{word} {hidden}side ="), filter.side.as_str())
        .and_maybe(&format!("{hidden}review ="), filter.review)
        .and_maybe(&format!("{hidden}group_key ="), filter.group.as_deref().map(sort_key))
}

fn hidden(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "+",
        // It has statistics to choose by.
        Dialect::Postgres => "",
    }
}

/// A row for each entry of a list without a search.
fn counted(filter: &Filter) -> Select {
    filtered(Select::new("SELECT 1 AS one FROM directory", []), filter, "WHERE", "")
}

/// A page without a search: the newest first.
fn list(filter: &Filter, place: &Place, limit: i64) -> Select {
    let select = filtered(Select::new(COLUMNS, []).then("seq FROM directory"), filter, "WHERE", "");
    let (select, offset) = match place {
        Place::Offset(rows) => (select, *rows),
        Place::After(_, at, id) => {
            let select = select.then_arg("AND (created_at, id) < (", *at);
            (select.then_arg(",", id.as_str()).then(")"), 0)
        }
    };
    select.then("ORDER BY created_at DESC, id DESC").then_arg("LIMIT", limit).then_arg("OFFSET", offset)
}

/// A row with its place in the order of commits.
pub(super) fn record<P: Document>(mut row: Row) -> Result<(EntryRecord<P>, i64), Error> {
    let id = row.text()?;
    let side = row.text()?;
    let side = Side::parse(&side).ok_or_else(|| Error::Corrupt(format!("`{side}` is no side")))?;
    let profile = P::of(row.text()?)?;
    let (word, at, reason) = (row.text()?, row.int_or_null()?.unwrap_or_default(), row.text_or_null()?);
    let review = match word.as_str() {
        "approved" => Review::Approved { at },
        "rejected" => Review::Rejected { at, reason },
        _ => Review::Pending,
    };
    let (version, created_at, updated_at) = (row.int()?, row.int()?, row.int()?);
    let (rank, place) = (0, created_at);
    let entry = EntryRecord { id, side, profile, review, version, created_at, updated_at, rank, place };
    Ok((entry, row.int()?))
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let plain = Filter { side: Side::Vendor, review: None, group: None, search: None };
    let approved = Filter { review: Some("approved"), ..plain.clone() };
    let group = Filter { group: Some("x".into()), ..approved.clone() };
    let mut selects = vec![
        by_id(Side::Vendor, "x"),
        names(Side::Vendor, &["x", "y"]),
        Select::new(GROUPS, ["x".into(), 1.into()]),
    ];
    for filter in [plain, approved, group] {
        selects.push(counted(&filter));
        selects.push(list(&filter, &Place::Offset(0), 1));
        selects.push(list(&filter, &Place::After(0, 0, "x".into()), 1));
        for query in ["x", "100% vegan"].into_iter().filter_map(Query::parse) {
            selects.extend(finding::statements(&Searched { filter: &filter, query: &query }, dialect));
        }
    }
    selects
}
