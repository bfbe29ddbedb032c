//! The directory of vendors and sponsors: finding them, and what admins do to it.
//!
//! Invariant: who is no admin sees approved entries only, and the public none of their contacts.
//! Not here: who belongs to which event.

use crate::app::audit::{self, note_instance};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::forms;
use crate::face::caller::Caller;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::{List, ListMeta, cursor};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::id::EntryId;
use openevent_domain::planning::directory::{Author, Profile, Review, Side};
use openevent_domain::planning::form::{Form, Presence, text};
use openevent_domain::planning::search::Query;
use openevent_store::planning::directory::{EntryRecord, Filter, Place};
use openevent_store::planning::unread::{Document, Unread};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The word of what everybody may see.
pub(super) const APPROVED: &str = "approved";
/// Categories that are listed.
const GROUPS_MAX: i64 = 1_000;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 2_000;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Anybody.
    Public,
    /// Somebody with a key.
    Member,
    /// An admin.
    Admin,
}

impl Viewer {
    /// What a caller is to the directory.
    pub fn of(caller: &Caller) -> Self {
        if caller.is_admin() { Self::Admin } else { Self::Member }
    }
}

/// An entry as somebody sees it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    profile: Cow<'a, Profile>,
    #[serde(flatten)]
    tail: Tail<'a>,
}

/// What is shown before its profile.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
}

/// What is shown after it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reviewed_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection_reason: Option<&'a str>,
    created_at: Millis,
    updated_at: Millis,
}

fn shown(entry: &EntryRecord, viewer: Viewer) -> Shown<'_> {
    let profile = match viewer {
        Viewer::Public => Cow::Owned(entry.profile.clone().without_contacts()),
        Viewer::Member | Viewer::Admin => Cow::Borrowed(&entry.profile),
    };
    Shown { head: head(entry), profile, tail: tail(entry, viewer) }
}

fn head<P>(entry: &EntryRecord<P>) -> Head<'_> {
    Head { underscore_id: &entry.id, id: &entry.id }
}

fn tail<P>(entry: &EntryRecord<P>, viewer: Viewer) -> Tail<'_> {
    let is_admin = viewer == Viewer::Admin;
    Tail {
        status: (viewer != Viewer::Public).then(|| entry.review.as_str()),
        reviewed_at: entry.review.at().filter(|_| is_admin),
        rejection_reason: entry.review.reason().filter(|_| is_admin),
        created_at: entry.created_at,
        updated_at: entry.updated_at,
    }
}

/// A page of the directory.
pub async fn list(app: &App, side: Side, viewer: Viewer, list: &List) -> Result<Reply, Problem> {
    let filter = filter(side, viewer, &list.params)?;
    if viewer == Viewer::Public {
        let (rows, meta) = page(app, &filter, list).await?;
        let entries: Vec<_> = rows.iter().map(|entry| shown(entry, viewer)).collect();
        return Ok(list.reply(&entries, &meta));
    }
    let (rows, meta) = page::<Unread>(app, &filter, list).await?;
    let entries = rows.iter().map(|entry| entry.profile.between(&head(entry), &tail(entry, viewer)));
    Ok(list.reply(&entries.collect::<Result<Vec<_>, _>>()?, &meta))
}

/// The entries of a page, and what the page says about itself.
async fn page<P: Document>(
    app: &App,
    filter: &Filter,
    list: &List,
) -> Result<(Vec<EntryRecord<P>>, ListMeta), Problem> {
    let place = match list.after::<(i64, i64, String)>()? {
        Some((rank, at, id)) => Place::After(rank, at, id),
        None => Place::Offset(list.offset()),
    };
    let (mut rows, total) = app.store.entries(filter, &place, list.limit + 1).await?;
    let has_more = rows.len() as i64 > list.limit;
    rows.truncate(list.limit as usize);
    let next = rows.last().filter(|_| has_more).map(|row| cursor(&(row.rank, row.place, &row.id)));
    let total = list.total(total, rows.len(), has_more);
    Ok((rows, list.meta(total, has_more, next)))
}

/// A page of what everybody may see, without contacts.
pub async fn public_page(
    app: &App,
    side: Side,
    list: &List,
) -> Result<(Vec<EntryRecord>, ListMeta), Problem> {
    let (rows, meta) = page(app, &filter(side, Viewer::Public, &list.params)?, list).await?;
    Ok((rows.into_iter().map(without_contacts).collect(), meta))
}

/// One entry that everybody may see, without contacts.
pub async fn public_entry(app: &App, side: Side, id: &str) -> Result<EntryRecord, Problem> {
    let entry = find(app, side, id).await?;
    if entry.review.as_str() != APPROVED {
        return Err(missing(side));
    }
    Ok(without_contacts(entry))
}

/// The categories or industries of what everybody may see, by name.
pub async fn public_groups(app: &App, side: Side) -> Result<Vec<String>, Problem> {
    Ok(app.store.groups(side, GROUPS_MAX).await?)
}

fn without_contacts(entry: EntryRecord) -> EntryRecord {
    EntryRecord { profile: entry.profile.without_contacts(), ..entry }
}

/// Which entries a list shows to somebody.
pub fn filter(side: Side, viewer: Viewer, params: &Params) -> Result<Filter, Problem> {
    let review = match viewer {
        Viewer::Public => Some(APPROVED),
        Viewer::Member | Viewer::Admin => match params.get("status") {
            Some("all") if viewer == Viewer::Admin => None,
            None | Some("all") => Some(APPROVED),
            Some(_) => params.one_of("status", &Review::WORDS.map(|word| (word, word)))?,
        },
    };
    if viewer != Viewer::Admin && review != Some(APPROVED) {
        return Err(Problem::admins_only());
    }
    Ok(Filter {
        side,
        review,
        group: params.get(side.group_field()).filter(|word| *word != "all").map(str::to_owned),
        search: params.get("search").and_then(Query::parse),
    })
}

/// The categories or industries there are.
pub async fn groups(app: &App, side: Side) -> Result<Reply, Problem> {
    Ok(Reply::ok(&app.store.groups(side, GROUPS_MAX).await?))
}

/// One entry.
pub async fn get(app: &App, side: Side, viewer: Viewer, id: &str) -> Result<Reply, Problem> {
    let entry = find(app, side, id).await?;
    if viewer != Viewer::Admin && entry.review.as_str() != APPROVED {
        return Err(missing(side));
    }
    Ok(Reply::ok(&shown(&entry, viewer)).tagged())
}

/// One entry as it is stored.
pub async fn find(app: &App, side: Side, id: &str) -> Result<EntryRecord, Problem> {
    let id = EntryId::parse(id).ok_or_else(|| missing(side))?;
    app.store.entry(side, id.as_str()).await?.ok_or_else(|| missing(side))
}

/// One entry that everybody can see.
pub(super) async fn approved(app: &App, side: Side, id: &str) -> Result<Option<EntryRecord>, Problem> {
    let Some(id) = EntryId::parse(id) else { return Ok(None) };
    let entry = app.store.entry(side, id.as_str()).await?;
    Ok(entry.filter(|entry| entry.review.as_str() == APPROVED))
}

fn missing(side: Side) -> Problem {
    Problem::not_found(match side {
        Side::Vendor => "Vendor",
        Side::Sponsor => "Sponsor",
    })
}

/// Makes an entry, to be reviewed.
pub async fn create(
    app: &App,
    caller: &Caller,
    side: Side,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut set = WriteSet::new();
    let (entry, ignored) = make(app, side, &mut set, forms::form(body)?, now)?;
    let view = shown(&entry, Viewer::Admin);
    note_instance(app, &mut set, caller, audit::Act::made(word(side, Verb::Create), &entry.id, &view), now);
    let meta = forms::ignored(Map::from_iter([("created".to_owned(), true.into())]), &ignored);
    let reply = Reply {
        location: Some(format!("/api/v1/{}s/{}", side.as_str(), entry.id)),
        ..Reply::with(StatusCode::CREATED, &view, Some(&meta))
    };
    guard.commit(&app.store, set, reply).await
}

/// Adds the entry that a form describes to a set; names the fields without effect.
pub(super) fn make(
    app: &App,
    side: Side,
    set: &mut WriteSet,
    mut form: Form,
    now: Millis,
) -> Result<(EntryRecord, Vec<String>), Problem> {
    let mut profile = Profile::default();
    profile.read(&mut form, side, Presence::New, Author::Admin);
    let ignored = forms::finish(form)?;
    let (_, entry) = new(app, side, profile, now);
    set.add_entry(&entry);
    Ok((entry, ignored))
}

/// Adds what a form changes of an entry to a set, if it changes anything.
pub(super) fn alter(
    set: &mut WriteSet,
    entry: &EntryRecord,
    mut form: Form,
    now: Millis,
) -> Result<Option<EntryRecord>, Problem> {
    let mut profile = entry.profile.clone();
    profile.read(&mut form, entry.side, Presence::Known, Author::Admin);
    forms::finish(form)?;
    if profile == entry.profile {
        return Ok(None);
    }
    let updated_at = now.max(entry.updated_at);
    let after = EntryRecord { profile, version: entry.version + 1, updated_at, ..entry.clone() };
    set.change_entry(&after, entry.version);
    Ok(Some(after))
}

/// An entry as somebody sees it, as JSON.
pub(super) fn value(entry: &EntryRecord, viewer: Viewer) -> Value {
    serde_json::json!(shown(entry, viewer))
}

/// A new entry, to be reviewed.
pub(super) fn new(app: &App, side: Side, profile: Profile, now: Millis) -> (EntryId, EntryRecord) {
    let id = EntryId::mint(now, app.chance.as_ref());
    let entry = EntryRecord {
        id: id.as_str().to_owned(),
        side,
        profile,
        review: Review::Pending,
        version: 1,
        created_at: now,
        updated_at: now,
        rank: 0,
        place: 0,
    };
    (id, entry)
}

#[derive(Clone, Copy, Debug)]
enum Verb {
    Create,
    Update,
    Approve,
    Reject,
}

/// What the audit log calls it.
fn word(side: Side, verb: Verb) -> &'static str {
    match (side, verb) {
        (Side::Vendor, Verb::Create) => "vendor.create",
        (Side::Vendor, Verb::Update) => "vendor.update",
        (Side::Vendor, Verb::Approve) => "vendor.approve",
        (Side::Vendor, Verb::Reject) => "vendor.reject",
        (Side::Sponsor, Verb::Create) => "sponsor.create",
        (Side::Sponsor, Verb::Update) => "sponsor.update",
        (Side::Sponsor, Verb::Approve) => "sponsor.approve",
        (Side::Sponsor, Verb::Reject) => "sponsor.reject",
    }
}

/// What an admin does to an entry.
#[derive(Clone, Debug)]
pub enum Act {
    /// Writes it anew, where the body says so.
    Edit(Value),
    /// Lets everybody see it.
    Approve,
    /// Hides it, with the reason the body gives.
    Reject(Value),
}

impl Act {
    fn verb(&self) -> Verb {
        match self {
            Self::Edit(_) => Verb::Update,
            Self::Approve => Verb::Approve,
            Self::Reject(_) => Verb::Reject,
        }
    }
}

/// Changes an entry, or does nothing at all.
pub async fn act(
    app: &App,
    caller: &Caller,
    mut entry: EntryRecord,
    act: Act,
    if_match: &IfMatch,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let side = entry.side;
    let mut attempt = 0;
    loop {
        attempt += 1;
        if_match.check(&Reply::ok(&shown(&entry, Viewer::Admin)).tagged().etag.unwrap_or_default())?;
        let (profile, review, ignored) = decide(&entry, side, act.clone(), now)?;
        let is_same = profile == entry.profile && review == entry.review;
        let updated_at = now.max(entry.updated_at);
        let after = EntryRecord { profile, review, version: entry.version + 1, updated_at, ..entry.clone() };
        let after = if is_same { entry.clone() } else { after };
        let mut set = WriteSet::new();
        if !is_same {
            set.change_entry(&after, entry.version);
            let (was, is) = (shown(&entry, Viewer::Admin), shown(&after, Viewer::Admin));
            let told = audit::Act::changed(word(side, act.verb()), &entry.id, &was, &is);
            note_instance(app, &mut set, caller, told, now);
        }
        let reply = acted(&after, &ignored);
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => return Ok(reply),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => entry = find(app, side, &entry.id).await?,
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

fn decide(
    entry: &EntryRecord,
    side: Side,
    act: Act,
    now: Millis,
) -> Result<(Profile, Review, Vec<String>), Problem> {
    let (mut profile, review) = (entry.profile.clone(), entry.review.clone());
    match act {
        Act::Edit(body) => {
            let mut form = forms::form(body)?;
            forms::check_change(&form)?;
            profile.read(&mut form, side, Presence::Known, Author::Admin);
            Ok((profile, review, forms::finish(form)?))
        }
        Act::Approve if matches!(review, Review::Approved { .. }) => Ok((profile, review, Vec::new())),
        Act::Approve => Ok((profile, Review::Approved { at: now }, Vec::new())),
        Act::Reject(body) => {
            let mut form = if body.is_null() { Form::of(Map::new()) } else { forms::form(body)? };
            let reason = form.take("reason", text(REASON_CHARS_MAX));
            let ignored = forms::finish(form)?;
            let is_same = matches!(&review, Review::Rejected { reason: before, .. } if *before == reason);
            Ok((profile, if is_same { review } else { Review::Rejected { at: now, reason } }, ignored))
        }
    }
}

fn acted(entry: &EntryRecord, ignored: &[String]) -> Reply {
    let view = shown(entry, Viewer::Admin);
    match ignored {
        [] => Reply::ok(&view).tagged(),
        names => Reply::ok_with_meta(&view, &forms::ignored(Map::new(), names)),
    }
}
