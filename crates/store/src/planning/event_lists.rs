//! Lists of planned events: which rows, in which order, and by which way.
//!
//! Invariant: a list goes through an index in its own order when enough of its rows fit, and otherwise takes the few
//! that fit from an index that knows them; so its cost does not grow with the table.
//! Not here: the events themselves (see `events`).

use super::events::{COLUMNS, EventRecord, record};
use super::finding::{self, Search, Start};
use super::search::{Beyond, Field, Searchable, facet};
use super::unread::Document;
use crate::sql::{Dialect, Select};
use crate::totals::{SURE, TOTAL_MAX};
use crate::value::Value;
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::EventId;
use openevent_domain::planning::plan::LocationType;
use openevent_domain::planning::search::Query;
use openevent_domain::planning::status::Status;
use openevent_domain::tenant::Tenant;
use serde::{Deserialize, Serialize};

const SEARCHABLE: Searchable = Searchable { table: "events", index: "events_search" };

/// Whose events a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A tenant's own.
    Members(Tenant),
    /// Everybody's that the public may see.
    Public,
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this type.
    pub event_type: Option<String>,
    /// Only this kind of place.
    pub location_type: Option<LocationType>,
    /// Only public ones, or only others.
    pub is_public: Option<bool>,
    /// Only those that seek vendors, or that do not.
    pub seeking_vendors: Option<bool>,
    /// Only those that seek sponsors, or that do not.
    pub seeking_sponsors: Option<bool>,
    /// Starting at or after.
    pub from: Option<Millis>,
    /// Starting at or before.
    pub to: Option<Millis>,
    /// Only those that have all these words.
    pub search: Option<Query>,
}

/// What a list is sorted by. Ties are broken by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When they were made.
    Creation,
    /// When they start.
    Start,
    /// When they were last changed.
    Update,
    /// Their title, whatever its case and accents.
    Title,
    /// Those with the words in their title first, each half the newest first. Without a search the same as creation.
    Relevance,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest, or the oldest.
    Ascending,
    /// The greatest, or the newest.
    Descending,
}

/// What a row is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A time.
    Time(Millis),
    /// A text.
    Text(String),
    /// How well it was found, and when it was stored, in the order of commits.
    Rank(i64, i64),
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After this row of the order.
    After(Key, EventId),
}

/// How a list is put together.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Whose.
    pub audience: Audience,
    /// Which.
    pub filter: Filter,
    /// By what.
    pub sort: Sort,
    /// From which end.
    pub direction: Direction,
}

/// A filter, as the index knows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facet<'a> {
    Tenant(&'a Tenant),
    Listed,
    Status(Status),
    EventType(&'a str),
    LocationType(LocationType),
    IsPublic(bool),
    SeekingVendors(bool),
    SeekingSponsors(bool),
}

impl Facet<'_> {
    pub(super) fn token(self) -> String {
        match self {
            Self::Tenant(tenant) => facet('k', tenant.as_str()),
            Self::Listed => facet('l', "listed"),
            Self::Status(status) => facet('d', status.as_str()),
            Self::EventType(word) => facet('e', word),
            Self::LocationType(kind) => facet('o', kind.as_str()),
            Self::IsPublic(is) => facet('p', yes_or_no(is)),
            Self::SeekingVendors(is) => facet('v', yes_or_no(is)),
            Self::SeekingSponsors(is) => facet('y', yes_or_no(is)),
        }
    }
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

impl Filter {
    /// Whether it asks for more than the status and the time.
    fn has_more(&self) -> bool {
        let flags = [self.is_public, self.seeking_vendors, self.seeking_sponsors];
        let words = self.event_type.is_some() || self.location_type.is_some() || self.search.is_some();
        words || flags.iter().any(Option::is_some)
    }

    fn has_time(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }
}

impl Listing {
    /// Every filter but time and search, as the index knows it.
    fn facets(&self) -> Vec<String> {
        let filter = &self.filter;
        let whose = match &self.audience {
            Audience::Members(tenant) => Facet::Tenant(tenant),
            Audience::Public => Facet::Listed,
        };
        let asked = [
            Some(whose),
            filter.status.map(Facet::Status),
            filter.event_type.as_deref().map(Facet::EventType),
            filter.location_type.map(Facet::LocationType),
            filter.is_public.map(Facet::IsPublic),
            filter.seeking_vendors.map(Facet::SeekingVendors),
            filter.seeking_sponsors.map(Facet::SeekingSponsors),
        ];
        asked.into_iter().flatten().map(Facet::token).collect()
    }

    /// Whether it is ordered by how well what is searched for is found.
    fn is_ranked(&self) -> bool {
        self.filter.search.is_some() && self.sort == Sort::Relevance
    }

    /// Whether only the search index knows all that is asked for.
    fn is_wide(&self) -> bool {
        self.filter.has_more() || (self.filter.status.is_some() && !self.is_members())
    }

    /// Whether an index holds just the rows of the list in its order, however many there are.
    fn has_index(&self) -> bool {
        let filter = &self.filter;
        let is_time = self.sort == Sort::Start || !filter.has_time();
        let by_status = matches!(self.sort, Sort::Creation | Sort::Relevance) && !filter.has_time();
        !self.is_wide() && is_time && (filter.status.is_none() || by_status)
    }

    fn is_members(&self) -> bool {
        matches!(self.audience, Audience::Members(_))
    }

    fn column(&self) -> &'static str {
        match self.sort {
            Sort::Creation | Sort::Relevance => "created_at",
            Sort::Start => "starts_at",
            Sort::Update => "updated_at",
            Sort::Title => "title_key",
        }
    }
}

impl Search for Listing {
    fn searchable(&self) -> &'static Searchable {
        &SEARCHABLE
    }

    fn columns(&self) -> &'static str {
        COLUMNS
    }

    fn query(&self) -> Option<&Query> {
        self.filter.search.as_ref()
    }

    fn facets(&self) -> Vec<String> {
        Self::facets(self)
    }

    fn beyond(&self, dialect: Dialect) -> Option<Beyond<'_>> {
        let filter = Some(&self.filter).filter(|filter| filter.has_time())?;
        Some(Box::new(move |select| in_time(select, filter, unindexed(dialect))))
    }

    fn filtered(&self, select: Select, dialect: Dialect) -> Select {
        let word = format!("AND {}", unindexed(dialect));
        filtered(of_audience(select, &self.audience, &word), &self.filter, &[], dialect)
    }
}

/// How a list comes to its rows.
#[derive(Clone, Debug)]
enum Way {
    /// In its order, looking at each row whether it fits.
    Ordered,
    /// Those that fit, by an index that knows them, sorted afterwards.
    Picked,
    /// Those with these numbers, sorted afterwards.
    Named(Vec<i64>),
}

impl Store {
    /// A page of a list.
    pub async fn events(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<EventRecord>, Error> {
        if listing.has_index() {
            return self.events_by(listing, place, limit, &Way::Ordered).await;
        }
        Ok(self.events_page(listing, place, limit).await?.0)
    }

    /// A page of a list, and how many rows the list has (see [`Self::events_count`]).
    pub async fn events_page<P: Document>(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
    ) -> Result<(Vec<EventRecord<P>>, i64), Error> {
        if listing.is_ranked() {
            return self.events_found(listing, place, limit).await;
        }
        let (way, total) = if listing.is_wide() {
            let tally = self.tally(listing).await?;
            let way = tally.picks.map_or(Way::Ordered, |picks| Way::Named(picks.seqs().to_vec()));
            (way, tally.total)
        } else {
            let total = self.events_count(listing).await?;
            let is_few = total < SURE && !listing.has_index();
            (if is_few { Way::Picked } else { Way::Ordered }, total)
        };
        Ok((self.events_by(listing, place, limit, &way).await?, total))
    }

    /// How many a list has: exactly up to 2000, at most 100 000 (10 000 where the search index is asked), and of long
    /// lists as it was some seconds ago.
    pub async fn events_count(&self, listing: &Listing) -> Result<i64, Error> {
        if listing.is_wide() {
            return Ok(self.tally(listing).await?.total);
        }
        self.total(counted(listing, self.dialect()), TOTAL_MAX).await
    }

    async fn events_by<P: Document>(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
        way: &Way,
    ) -> Result<Vec<EventRecord<P>>, Error> {
        let rows = self.rows(list(listing, place, limit, way, self.dialect())).await?;
        rows.into_iter().map(|row| record(row, listing.sort).map(|(record, _)| record)).collect()
    }

    async fn events_found<P: Document>(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
    ) -> Result<(Vec<EventRecord<P>>, i64), Error> {
        let start = match place {
            Place::Offset(rows) => Start::Offset(*rows),
            Place::After(Key::Rank(rank, seq), _) => Start::After(*rank, *seq),
            Place::After(..) => return Err(Error::corrupt("a place in a search has a rank")),
        };
        let (rows, total) = self.search(listing, start, limit).await?;
        let ranked = rows.into_iter().map(|(pass, row)| {
            let (record, seq) = record(row, Sort::Relevance)?;
            Ok(EventRecord { key: Key::Rank(pass.rank(), seq), ..record })
        });
        Ok((ranked.collect::<Result<_, Error>>()?, total))
    }
}

/// How a condition on a column is written so that no index is chosen for it.
fn unindexed(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "+",
        // It has statistics to choose by.
        Dialect::Postgres => "",
    }
}

/// `word tenant = …`: whose events they are.
fn of_audience(select: Select, audience: &Audience, word: &str) -> Select {
    match audience {
        Audience::Members(tenant) => select.then_arg(&format!("{word}tenant ="), tenant.as_str()),
        Audience::Public => select.then(&format!("{word}listed = 1")),
    }
}

/// The filters on columns. Those whose column is among `seen` may have an index chosen for them.
fn filtered(select: Select, filter: &Filter, seen: &[&str], dialect: Dialect) -> Select {
    let name = |column: &str| {
        if seen.contains(&column) { column.to_owned() } else { format!("{}{column}", unindexed(dialect)) }
    };
    let select = select
        .and_maybe(&format!("{} =", name("status")), filter.status.map(Status::as_str))
        .and_maybe(&format!("{} =", name("event_type")), filter.event_type.as_deref())
        .and_maybe(&format!("{} =", name("location_type")), filter.location_type.map(LocationType::as_str))
        .and_maybe(&format!("{} =", name("is_public")), filter.is_public)
        .and_maybe(&format!("{} =", name("seeking_vendors")), filter.seeking_vendors)
        .and_maybe(&format!("{} =", name("seeking_sponsors")), filter.seeking_sponsors);
    in_time(select, filter, if seen.contains(&"starts_at") { "" } else { unindexed(dialect) })
}

/// The filters by time; `hidden` is put before the column.
fn in_time(select: Select, filter: &Filter, hidden: &str) -> Select {
    select
        .and_maybe(&format!("{hidden}starts_at >="), filter.from)
        .and_maybe(&format!("{hidden}starts_at <="), filter.to)
}

/// A row for each event of a list that needs no search index.
fn counted(listing: &Listing, dialect: Dialect) -> Select {
    narrow(Select::new("SELECT 1 AS one FROM events", []), listing, dialect)
}

/// The rows of a list that needs no search index, by the index of their time or their status.
fn narrow(select: Select, listing: &Listing, dialect: Dialect) -> Select {
    let seen: &[&str] = if listing.filter.has_time() { &["starts_at"] } else { &["status"] };
    filtered(of_audience(select, &listing.audience, "WHERE "), &listing.filter, seen, dialect)
}

/// A page in the order of a column.
fn list(listing: &Listing, place: &Place, limit: i64, way: &Way, dialect: Dialect) -> Select {
    let select = Select::new(COLUMNS, []).then("seq FROM events");
    let select = match way {
        Way::Ordered => gone_through(select, listing, dialect),
        Way::Picked => narrow(select, listing, dialect),
        Way::Named(seqs) => listing.named(seqs, dialect),
    };
    let (beyond, end) = match listing.direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    };
    let column = listing.column();
    let (select, offset) = match place {
        Place::Offset(rows) => (select, *rows),
        Place::After(key, id) => {
            let key: Value = match key {
                Key::Text(text) => text.as_str().into(),
                Key::Time(at) | Key::Rank(_, at) => (*at).into(),
            };
            let select = select.then_arg(&format!("AND ({column}, id) {beyond} ("), key);
            (select.then_arg(",", id.as_str()).then(")"), 0)
        }
    };
    // What is picked is sorted: an index in this order would be gone through from end to end.
    let order = match (way, dialect) {
        (Way::Ordered, _) => column.to_owned(),
        (_, Dialect::Sqlite) => format!("+{column}"),
        (_, Dialect::Postgres) if listing.sort == Sort::Title => format!("({column} || '')"),
        (_, Dialect::Postgres) => format!("({column} + 0)"),
    };
    select
        .then(&format!("ORDER BY {order} {end}, id {end}"))
        .then_arg("LIMIT", limit)
        .then_arg("OFFSET", offset)
}

/// The rows of a list, by the index of its order.
fn gone_through(select: Select, listing: &Listing, dialect: Dialect) -> Select {
    let seen: &[&str] = match listing.sort {
        Sort::Start => &["starts_at"],
        Sort::Creation | Sort::Relevance if listing.is_members() => &["status"],
        _ => &[],
    };
    let select = of_audience(select, &listing.audience, "WHERE ");
    let select = filtered(select, &listing.filter, seen, dialect);
    match &listing.filter.search {
        Some(query) => SEARCHABLE.tested(select.then("AND"), query, Field::Text, dialect),
        None => select,
    }
}

/// Every statement of a listing.
fn statements(listing: &Listing, key: Key, dialect: Dialect) -> Vec<Select> {
    if listing.is_ranked() {
        return finding::statements(listing, dialect);
    }
    let (mut all, mut ways) = (Vec::new(), vec![Way::Ordered]);
    if listing.is_wide() {
        all.extend(finding::statements(listing, dialect));
        ways.push(Way::Named(vec![1, 2]));
    } else {
        all.push(counted(listing, dialect).then_arg("LIMIT", 1));
        ways.extend((!listing.has_index()).then_some(Way::Picked));
    }
    let after = Place::After(key, EventId::trusted("x".into()));
    for way in &ways {
        for place in [&Place::Offset(0), &after] {
            all.push(list(listing, place, 1, way, dialect));
        }
    }
    all
}

pub(crate) fn selects(dialect: Dialect) -> Vec<Select> {
    let plain = Filter::default();
    let status = Filter { status: Some(Status::Draft), ..plain.clone() };
    let time = Filter { from: Some(0), to: Some(1), ..plain.clone() };
    let all = Filter {
        event_type: Some("x".into()),
        location_type: Some(LocationType::Hybrid),
        is_public: Some(true),
        seeking_vendors: Some(true),
        seeking_sponsors: Some(true),
        search: Query::parse("100% vegan"),
        ..status.clone()
    };
    let wide = Filter { search: None, ..all.clone() };
    let both = Filter { from: Some(0), to: Some(1), ..all.clone() };
    let exact = Filter { search: Query::parse("x"), ..plain.clone() };
    let orders = [
        (Sort::Creation, Key::Time(0)),
        (Sort::Start, Key::Time(0)),
        (Sort::Update, Key::Time(0)),
        (Sort::Title, Key::Text("x".into())),
        (Sort::Relevance, Key::Rank(0, 0)),
    ];
    let mut selects = Vec::new();
    for audience in [Audience::Members(Tenant::trusted("x".into())), Audience::Public] {
        for filter in [&plain, &status, &time, &wide, &all, &both, &exact] {
            for (sort, key) in &orders {
                for direction in [Direction::Ascending, Direction::Descending] {
                    let (audience, filter) = (audience.clone(), filter.clone());
                    let listing = Listing { audience, filter, sort: *sort, direction };
                    selects.extend(statements(&listing, key.clone(), dialect));
                }
            }
        }
    }
    selects
}
