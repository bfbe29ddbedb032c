//! Filling a project with a demo season.
//!
//! Invariant: written in sets of bounded size, straight into the store: a fill raises no signals, starts nothing and
//! is never mistaken for work that was done here. A project that has events is left alone unless that is wanted.
//! Not here: what a season is made of (the domain's `planning::demo`), the command line.

use crate::app::parts::{Hung, Part, Placed, branch};
use crate::app::relations;
use crate::face::problem::Problem;
use openevent_domain::id::EventId;
use openevent_domain::planning::demo::{Gathering, Made, Party, Season};
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::event::Event;
use openevent_domain::tenant::Tenant;
use openevent_store::planning::directory::EntryRecord;
use openevent_store::planning::events::{Audience, Direction, Filter, Listing, Place, Sort};
use openevent_store::planning::parts::Branch;
use openevent_store::{Error, Store, WriteSet};

/// Who is said to have made demo events.
pub const OWNER: &str = "demo";
/// Rows of a set, about.
const SET_ROWS_MAX: usize = 4_000;

/// What is written of each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The event and all that hangs on it.
    Whole,
    /// The event alone.
    Bare,
}

/// What to do with a project that has events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Leave it alone.
    MustBeEmpty,
    /// Add to it.
    MayBeTaken,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filled {
    /// Vendors.
    pub vendors: u64,
    /// Sponsors.
    pub sponsors: u64,
    /// Events.
    pub events: u64,
    /// Tasks.
    pub tasks: u64,
    /// Items of budgets.
    pub budget_items: u64,
    /// Relations to vendors and sponsors.
    pub relations: u64,
    /// Applications of vendors and sponsors.
    pub applications: u64,
}

/// Why a project was not filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// It has events already.
    #[error("the project has events already")]
    Taken,
    /// The store did not take it. What was written before stays.
    #[error(transparent)]
    Store(#[from] Error),
    /// A part has no JSON form: a bug.
    #[error("a part of the season could not be written down: {}", .0.message())]
    Part(Problem),
}

/// Fills a project, telling after each set what was made until then.
pub async fn fill(
    store: &Store,
    tenant: &Tenant,
    season: Season,
    depth: Depth,
    ground: Ground,
    mut tell: impl FnMut(Filled),
) -> Result<Filled, FillError> {
    if ground == Ground::MustBeEmpty && has_events(store, tenant).await? {
        return Err(FillError::Taken);
    }
    let mut filling = Filling { store, tenant, made: Filled::default(), set: WriteSet::new(), rows: 0 };
    for party in season.parties() {
        filling.party(party);
        filling.write(SET_ROWS_MAX, &mut tell).await?;
    }
    match depth {
        Depth::Whole => {
            for gathering in season.gatherings(OWNER) {
                filling.gathering(gathering)?;
                filling.write(SET_ROWS_MAX, &mut tell).await?;
            }
        }
        Depth::Bare => {
            for event in season.events(OWNER) {
                filling.event(&event);
                filling.write(SET_ROWS_MAX, &mut tell).await?;
            }
        }
    }
    filling.write(1, &mut tell).await?;
    Ok(filling.made)
}

async fn has_events(store: &Store, tenant: &Tenant) -> Result<bool, Error> {
    let listing = Listing {
        audience: Audience::Members(tenant.clone()),
        filter: Filter::default(),
        sort: Sort::Creation,
        direction: Direction::Descending,
    };
    Ok(!store.events(&listing, &Place::Offset(0), 1).await?.is_empty())
}

/// A fill under way.
struct Filling<'a> {
    store: &'a Store,
    tenant: &'a Tenant,
    made: Filled,
    set: WriteSet,
    rows: usize,
}

impl Filling<'_> {
    /// Writes what has gathered, once it is so many rows.
    async fn write(&mut self, rows_min: usize, tell: &mut impl FnMut(Filled)) -> Result<(), Error> {
        if self.rows < rows_min {
            return Ok(());
        }
        self.store.submit(std::mem::take(&mut self.set)).await?;
        self.rows = 0;
        tell(self.made);
        Ok(())
    }

    fn party(&mut self, Party { id, side, profile, review, created_at, .. }: Party) {
        let updated_at = review.at().unwrap_or(created_at).max(created_at);
        let id = id.as_str().to_owned();
        let entry =
            EntryRecord { id, side, profile, review, version: 1, created_at, updated_at, rank: 0, place: 0 };
        self.set.add_entry(&entry);
        self.rows += 1;
        match side {
            Side::Vendor => self.made.vendors += 1,
            Side::Sponsor => self.made.sponsors += 1,
        }
    }

    fn event(&mut self, event: &Event) {
        self.set.add_event(self.tenant, event);
        self.rows += 1;
        self.made.events += 1;
    }

    fn gathering(&mut self, gathering: Gathering) -> Result<(), FillError> {
        let Gathering { event, tasks, budget, ties } = gathering;
        self.event(&event);
        self.made.tasks += self.placed(&event.id, tasks)?;
        self.made.budget_items += self.placed(&event.id, budget)?;
        self.made.applications += self.placed(&event.id, ties.applications)?;
        for (side, relations) in [(Side::Vendor, ties.vendors), (Side::Sponsor, ties.sponsors)] {
            let branch = relations::branch(self.tenant, &event.id, side);
            self.made.relations += self.parts(&branch, relations)?;
        }
        Ok(())
    }

    fn placed<P: Placed>(&mut self, event: &EventId, parts: Vec<Made<P::Id, P>>) -> Result<u64, FillError> {
        self.parts(&branch::<P>(self.tenant, event), parts)
    }

    fn parts<P: Part>(&mut self, branch: &Branch, parts: Vec<Made<P::Id, P>>) -> Result<u64, FillError> {
        let count = parts.len();
        for Made { id, body, created_at } in parts {
            let record = Hung::new(id, body, created_at).record().map_err(FillError::Part)?;
            self.set.add_part(branch, &record);
        }
        self.rows += count;
        Ok(count as u64)
    }
}
