//! What hangs on an event, whatever it is: reading, listing and showing it.
//!
//! Invariant: a part is looked for under its own event only; its tag is its version.
//! Not here: what the parts mean (`tasks`, `budget`).

use crate::face::list::{List, ListMeta, cursor};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{EventId, Id};
use openevent_domain::tenant::Tenant;
use openevent_store::planning::parts::{Branch, Filter, Kind, PartRecord, Place};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// Rows a count looks at before it says "at least so many".
const COUNT_MAX: i64 = 100_000;
/// Parts read at once when all are needed.
const CHUNK_ROWS: i64 = 1_000;

/// A kind of thing that hangs on events.
pub trait Part: Serialize + DeserializeOwned + Clone + PartialEq + Sync {
    /// Its ids.
    type Id: Id + Send + Sync;
    /// The reader's word for it.
    const WHAT: &'static str;

    /// The word lists filter by.
    fn status(&self) -> &str;

    /// Another word lists filter by.
    fn facet(&self) -> Option<&str>;

    /// Whom it concerns, where an event has one such part for each.
    fn party(&self) -> Option<&str> {
        None
    }
}

/// A kind of part that is in one place of its events.
pub trait Placed: Part {
    /// The store's word for it.
    const KIND: Kind;
    /// Where it is below its event.
    const FOLDER: &'static str;
}

/// A part with what the server knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hung<P: Part> {
    /// Its id.
    pub id: P::Id,
    /// What it says.
    pub body: P,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a, P> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    event_id: &'a str,
    #[serde(flatten)]
    body: &'a P,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
    created_at: Millis,
    updated_at: Millis,
}

impl<P: Part> Hung<P> {
    /// A new part.
    pub fn new(id: P::Id, body: P, now: Millis) -> Self {
        Self { id, body, version: 1, created_at: now, updated_at: now }
    }

    /// The part saying something else; `None` when that is what it says already.
    pub fn changed(&self, body: P, now: Millis) -> Option<Self> {
        let updated_at = now.max(self.updated_at);
        (body != self.body).then(|| Self { body, version: self.version + 1, updated_at, ..self.clone() })
    }

    /// The part as it is stored.
    pub fn record(&self) -> Result<PartRecord, Problem> {
        Ok(PartRecord {
            id: self.id.as_str().to_owned(),
            body: serde_json::to_value(&self.body).map_err(Problem::internal)?,
            status: self.body.status().to_owned(),
            facet: self.body.facet().map(str::to_owned),
            party: self.body.party().map(str::to_owned),
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }

    /// Its tag.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// What people see of it.
    pub fn shown<'a>(&'a self, event: &'a EventId) -> impl Serialize + 'a {
        static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.shown_with(event, &NOTHING)
    }

    /// What people see of it, with more than it says itself.
    pub fn shown_with<'a>(&'a self, event: &'a EventId, more: &'a Map<String, Value>) -> impl Serialize + 'a {
        let id = self.id.as_str();
        Shown {
            more,
            underscore_id: id,
            id,
            event_id: event.as_str(),
            body: &self.body,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// A part as the store gave it.
    pub fn of(record: PartRecord) -> Result<Self, Problem> {
        Ok(Self {
            id: P::Id::trusted(record.id),
            body: serde_json::from_value(record.body).map_err(Problem::internal)?,
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
        })
    }
}

impl<P: Placed> Hung<P> {
    /// Where it is.
    pub fn path(&self, event: &EventId) -> String {
        format!("/api/v1/events/{event}/{}/{}", P::FOLDER, self.id.as_str())
    }
}

/// Where parts of a kind hang.
pub fn branch<P: Placed>(tenant: &Tenant, event: &EventId) -> Branch {
    Branch { tenant: tenant.clone(), event: event.clone(), kind: P::KIND }
}

/// One part.
pub async fn find<P: Part>(app: &App, branch: &Branch, id: &str) -> Result<Hung<P>, Problem> {
    let missing = || Problem::not_found(P::WHAT);
    let id = P::Id::parse(id).ok_or_else(missing)?;
    app.store.part(branch, id.as_str()).await?.map(Hung::of).ok_or_else(missing)?
}

/// One part, shown.
pub async fn get<P: Part>(app: &App, branch: &Branch, id: &str) -> Result<Reply, Problem> {
    let found = find::<P>(app, branch, id).await?;
    Ok(Reply::ok(&found.shown(&branch.event)).tagged_as(found.etag()))
}

/// All parts of an event, newest first.
pub async fn all<P: Part>(app: &App, branch: &Branch) -> Result<Vec<Hung<P>>, Problem> {
    let (mut all, mut place) = (Vec::<Hung<P>>::new(), Place::Offset(0));
    loop {
        let rows = app.store.parts(branch, &Filter::default(), &place, CHUNK_ROWS).await?;
        let is_last = (rows.len() as i64) < CHUNK_ROWS;
        all.extend(rows.into_iter().map(Hung::of).collect::<Result<Vec<_>, _>>()?);
        match all.last() {
            Some(last) if !is_last => place = Place::After(last.id.as_str().to_owned()),
            _ => return Ok(all),
        }
    }
}

/// A page of an event's parts, shown.
pub async fn list<P: Part>(
    app: &App,
    branch: &Branch,
    filter: &Filter,
    list: &List,
) -> Result<Reply, Problem> {
    let (parts, meta) = page::<P>(app, branch, filter, list).await?;
    let shown: Vec<_> = parts.iter().map(|part| part.shown(&branch.event)).collect();
    Ok(list.reply(&shown, &meta))
}

/// A page of an event's parts, and what it says about itself.
pub async fn page<P: Part>(
    app: &App,
    branch: &Branch,
    filter: &Filter,
    list: &List,
) -> Result<(Vec<Hung<P>>, ListMeta), Problem> {
    let place = list.after::<String>()?.map_or(Place::Offset(list.offset()), Place::After);
    let mut rows = app.store.parts(branch, filter, &place, list.limit + 1).await?;
    let total = app.store.parts_count(branch, filter, COUNT_MAX).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.id));
    let parts = rows.into_iter().map(Hung::<P>::of).collect::<Result<Vec<_>, _>>()?;
    Ok((parts, meta))
}

/// The answer that shows a part after a change.
pub fn changed_reply<P: Part>(part: &Hung<P>, event: &EventId, ignored: &[String]) -> Reply {
    let reply = match ignored {
        [] => Reply::ok(&part.shown(event)),
        names => {
            Reply::ok_with_meta(&part.shown(event), &super::forms::ignored(serde_json::Map::new(), names))
        }
    };
    reply.tagged_as(part.etag())
}

/// The answer that shows a new part.
pub fn created_reply<P: Placed>(part: &Hung<P>, event: &EventId, ignored: &[String]) -> Reply {
    let meta =
        super::forms::ignored([("created".to_owned(), Value::from(true))].into_iter().collect(), ignored);
    Reply {
        location: Some(part.path(event)),
        ..Reply::with(http::StatusCode::CREATED, &part.shown(event), Some(&meta)).tagged_as(part.etag())
    }
}
