//! Lists of planned events: which rows, in which order, and by which way.
//!
//! Invariant: a list goes through an index in its own order when enough of its rows fit, and otherwise takes the few
//! that fit from an index that knows them; so its cost does not grow with the table.
//! Not here: the events themselves (see `events`).

use super::events::{COLUMNS, EventRecord, record};
use super::search::{Field, Part, Pass, Searchable, Start, Way, facet};
use crate::sql::{Dialect, Select};
use crate::totals::{FOUND_MAX, TOTAL_MAX};
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

    /// The search, when it is what the list is ordered by.
    fn ranking(&self) -> Option<&Query> {
        self.filter.search.as_ref().filter(|_| self.sort == Sort::Relevance)
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

impl Store {
    /// A page of a list.
    pub async fn events(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<EventRecord>, Error> {
        let total = if listing.has_index() { i64::MAX } else { self.events_count(listing).await? };
        self.events_of(listing, place, limit, total).await
    }

    /// A page of a list, and how many rows the list has (see [`Self::events_count`]).
    pub async fn events_page(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
    ) -> Result<(Vec<EventRecord>, i64), Error> {
        let total = self.events_count(listing).await?;
        Ok((self.events_of(listing, place, limit, total).await?, total))
    }

    /// How many a list has: exactly up to 2000, at most 100 000 (10 000 where the search index is asked), and of long
    /// lists as it was some seconds ago.
    pub async fn events_count(&self, listing: &Listing) -> Result<i64, Error> {
        let max = if listing.is_wide() { FOUND_MAX } else { TOTAL_MAX };
        self.total(counted(listing, self.dialect()), max).await
    }

    async fn events_of(
        &self,
        listing: &Listing,
        place: &Place,
        limit: i64,
        total: i64,
    ) -> Result<Vec<EventRecord>, Error> {
        let Some(query) = listing.ranking() else {
            let way = if listing.has_index() { Way::Ordered } else { Way::to(total) };
            let rows = self.rows(list(listing, place, limit, way, self.dialect())).await?;
            return rows.into_iter().map(|row| record(row, listing.sort).map(|(record, _)| record)).collect();
        };
        let start = match place {
            Place::Offset(rows) => Start::Offset(*rows),
            Place::After(Key::Rank(rank, seq), _) => Start::After(*rank, *seq),
            Place::After(..) => return Err(Error::corrupt("a place in a search has a rank")),
        };
        let ways = self.ways(listing, query, total).await?;
        let part = |pass: Pass, after, offset, limit| {
            let way = if pass == Pass::Title { ways.0 } else { ways.1 };
            found(listing, query, Part { pass, way, after, offset, limit }, self.dialect())
        };
        let titles = titles(listing, query, self.dialect());
        let rows = self.found(start, limit, part, titles).await?;
        let ranked = rows.into_iter().map(|(pass, row)| {
            let (record, seq) = record(row, Sort::Relevance)?;
            Ok(EventRecord { key: Key::Rank(pass.rank(), seq), ..record })
        });
        ranked.collect()
    }

    /// The ways to what has the words in its title, and to the rest.
    async fn ways(&self, listing: &Listing, query: &Query, total: i64) -> Result<(Way, Way), Error> {
        if Way::to(total) == Way::Picked || self.dialect() == Dialect::Sqlite {
            return Ok((Way::Picked, Way::Picked));
        }
        let titles = self.total(titles(listing, query, self.dialect()), FOUND_MAX).await?;
        Ok(Way::to_halves(titles, total))
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
    select
        .and_maybe(&format!("{} =", name("status")), filter.status.map(Status::as_str))
        .and_maybe(&format!("{} =", name("event_type")), filter.event_type.as_deref())
        .and_maybe(&format!("{} =", name("location_type")), filter.location_type.map(LocationType::as_str))
        .and_maybe(&format!("{} =", name("is_public")), filter.is_public)
        .and_maybe(&format!("{} =", name("seeking_vendors")), filter.seeking_vendors)
        .and_maybe(&format!("{} =", name("seeking_sponsors")), filter.seeking_sponsors)
        .and_maybe(&format!("{} >=", name("starts_at")), filter.from)
        .and_maybe(&format!("{} <=", name("starts_at")), filter.to)
}

/// A part of what a search finds, in its own order.
fn found(listing: &Listing, query: &Query, part: Part, dialect: Dialect) -> Select {
    let select = SEARCHABLE.found(COLUMNS, &listing.facets(), query, part, dialect);
    let hidden = format!("AND {}", unindexed(dialect));
    let select = of_audience(select, &listing.audience, &hidden);
    SEARCHABLE.ended(filtered(select, &listing.filter, &[], dialect), part, dialect)
}

/// A row for each event that has the words in its title.
fn titles(listing: &Listing, query: &Query, dialect: Dialect) -> Select {
    counted_by_index(listing, Some((query, Field::Title)), dialect)
}

/// A row for each event of a list.
fn counted(listing: &Listing, dialect: Dialect) -> Select {
    let filter = &listing.filter;
    if listing.is_wide() {
        let query = filter.search.as_ref().map(|query| (query, Field::Text));
        return counted_by_index(listing, query, dialect);
    }
    let seen: &[&str] = if filter.has_time() { &["starts_at"] } else { &["status"] };
    let select = of_audience(Select::new("SELECT 1 AS one FROM events", []), &listing.audience, "WHERE ");
    filtered(select, filter, seen, dialect)
}

/// A row for each event that the search index and, if need be, the row itself says to be wanted.
fn counted_by_index(listing: &Listing, query: Option<(&Query, Field)>, dialect: Dialect) -> Select {
    let (filter, facets) = (&listing.filter, listing.facets());
    let known = if filter.has_time() { None } else { SEARCHABLE.known(&facets, query, dialect) };
    known.unwrap_or_else(|| {
        let select = Select::new("SELECT 1 AS one FROM events WHERE", []);
        let select = SEARCHABLE.picked(select, &facets, query, dialect);
        let hidden = format!("AND {}", unindexed(dialect));
        filtered(of_audience(select, &listing.audience, &hidden), filter, &[], dialect)
    })
}

/// A page in the order of a column.
fn list(listing: &Listing, place: &Place, limit: i64, way: Way, dialect: Dialect) -> Select {
    let select = Select::new(COLUMNS, []).then("seq FROM events");
    let select = match way {
        Way::Ordered => gone_through(select, listing, dialect),
        Way::Picked => picked(select, listing, dialect),
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
        (Way::Picked, Dialect::Sqlite) => format!("+{column}"),
        (Way::Picked, Dialect::Postgres) if listing.sort == Sort::Title => format!("({column} || '')"),
        (Way::Picked, Dialect::Postgres) => format!("({column} + 0)"),
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

/// The rows of a list, by an index that knows them.
fn picked(select: Select, listing: &Listing, dialect: Dialect) -> Select {
    let filter = &listing.filter;
    if !listing.is_wide() {
        let seen: &[&str] = if filter.has_time() { &["starts_at"] } else { &["status"] };
        return filtered(of_audience(select, &listing.audience, "WHERE "), filter, seen, dialect);
    }
    let query = filter.search.as_ref().map(|query| (query, Field::Text));
    let select = SEARCHABLE.picked(select.then("WHERE"), &listing.facets(), query, dialect);
    let hidden = format!("AND {}", unindexed(dialect));
    filtered(of_audience(select, &listing.audience, &hidden), filter, &[], dialect)
}

/// Every statement of a listing.
fn statements(listing: &Listing, key: Key, dialect: Dialect) -> Vec<Select> {
    let mut all = vec![counted(listing, dialect).then_arg("LIMIT", 1)];
    if let Some(query) = listing.ranking() {
        for (pass, way, after) in [
            (Pass::Title, Way::Picked, None),
            (Pass::Title, Way::Ordered, Some(1)),
            (Pass::Rest, Way::Picked, Some(1)),
            (Pass::Rest, Way::Ordered, None),
        ] {
            all.push(found(listing, query, Part { pass, way, after, offset: 0, limit: 1 }, dialect));
        }
        all.push(titles(listing, query, dialect).then_arg("LIMIT", 1));
        return all;
    }
    let after = Place::After(key, EventId::trusted("x".into()));
    let ways: &[Way] = if listing.has_index() { &[Way::Ordered] } else { &[Way::Ordered, Way::Picked] };
    for way in ways {
        for place in [&Place::Offset(0), &after] {
            all.push(list(listing, place, 1, *way, dialect));
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
