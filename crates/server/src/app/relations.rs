//! The vendors and sponsors of an event.
//!
//! Invariant: one relation for a pair. Confirming and declining are told once, in the commit that does it, together
//! with what they do to the budget.
//! Not here: the moves there are (the domain's `planning::relation`), applications.

use crate::app::announce::{announce, present};
use crate::app::audit::{Act, note};
use crate::app::budget::currency;
use crate::app::directory::{self, Viewer};
use crate::app::events::{ATTEMPTS_MAX, again};
use crate::app::forms;
use crate::app::parts::{self, Hung, Part};
use crate::face::caller::Caller;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::List;
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{ApplicationId, BudgetItemId, EntryId, EventId, RelationId};
use openevent_domain::planning::budget::{Certainty, Item};
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::form::{Presence, text, word};
use openevent_domain::planning::relation::{Relation, Standing, booked};
use openevent_domain::tenant::Tenant;
use openevent_store::planning::directory::EntryRecord;
use openevent_store::planning::parts::{Basis, Branch, Filter, Kind, TABLE};
use openevent_store::{Error, WriteSet};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Characters of an id.
const ID_CHARS_MAX: usize = 100;

impl Part for Relation {
    type Id = RelationId;
    const WHAT: &'static str = "Relation";

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn facet(&self) -> Option<&str> {
        self.tier.as_deref().or(self.category.as_deref())
    }

    fn party(&self) -> Option<&str> {
        Some(Relation::party(self))
    }
}

/// One side of an event, who looks at it, and when.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The server.
    pub app: &'a App,
    /// Who looks.
    pub caller: &'a Caller,
    /// At which event.
    pub event: &'a Event,
    /// At its vendors or at its sponsors.
    pub side: Side,
    /// The time of the request.
    pub now: Millis,
}

impl Scene<'_> {
    /// Where the relations hang.
    pub(super) fn branch(&self) -> Branch {
        branch(&self.caller.tenant, &self.event.id, self.side)
    }

    fn items(&self) -> Branch {
        Branch { kind: Kind::Budget, ..self.branch() }
    }
}

/// Where the relations of an event to one side hang.
pub(super) fn branch(tenant: &Tenant, event: &EventId, side: Side) -> Branch {
    let kind = match side {
        Side::Vendor => Kind::Vendor,
        Side::Sponsor => Kind::Sponsor,
    };
    Branch { tenant: tenant.clone(), event: event.clone(), kind }
}

/// The member that shows the name of an entry.
fn named(side: Side, name: &str) -> Map<String, Value> {
    Map::from_iter([(format!("{}Name", side.as_str()), name.into())])
}

/// A page of an event's relations.
pub async fn list(scene: &Scene<'_>, list: &List) -> Result<Reply, Problem> {
    let status = list.params.one_of("status", &Standing::ALL.map(|one| (one.as_str(), one)))?;
    let filter = Filter { status: status.map(|status| status.as_str().to_owned()), facet: None };
    let (rows, meta) = parts::page::<Relation>(scene.app, &scene.branch(), &filter, list).await?;
    let parties: Vec<_> = rows.iter().map(|row| row.body.party()).collect();
    let names = scene.app.store.entry_names(scene.side, &parties).await?;
    let members: Vec<_> = parties.iter().map(|party| named(scene.side, name(&names, party))).collect();
    let shown: Vec<_> =
        rows.iter().zip(&members).map(|(row, more)| row.shown_with(&scene.event.id, more)).collect();
    Ok(list.reply(&shown, &meta))
}

/// The name of an entry among these.
pub(super) fn name<'a>(names: &'a BTreeMap<String, String>, id: &str) -> &'a str {
    names.get(id).map(String::as_str).unwrap_or_default()
}

/// One relation.
pub async fn get(scene: &Scene<'_>, id: &str) -> Result<Reply, Problem> {
    let found = parts::find::<Relation>(scene.app, &scene.branch(), id).await?;
    let entry = directory::find(scene.app, scene.side, found.body.party()).await?;
    Ok(shown(scene, &found, &entry, &[]))
}

fn shown(scene: &Scene<'_>, relation: &Hung<Relation>, entry: &EntryRecord, ignored: &[String]) -> Reply {
    let more = named(scene.side, &entry.profile.name);
    let view = relation.shown_with(&scene.event.id, &more);
    let reply = match ignored {
        [] => Reply::ok(&view),
        names => Reply::ok_with_meta(&view, &forms::ignored(Map::new(), names)),
    };
    reply.tagged_as(relation.etag())
}

/// Relates an event to an entry of the directory.
pub async fn create(scene: &Scene<'_>, body: Value, guard: Guard) -> Result<Reply, Problem> {
    let Scene { app, caller, event, side, now } = *scene;
    let id = RelationId::mint(now, app.chance.as_ref());
    let (relation, entry, ignored) = draft(scene, body).await?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut set = WriteSet::new();
        let made = Hung::new(id.clone(), relation.clone(), now);
        let made = write(scene, &mut set, None, made, &entry, None).await?;
        let reply = created(scene, &made, &entry, &ignored);
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => return Ok(reply),
            // The event is gone, or the item of the budget changed.
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                again(app, &caller.tenant, &event.id).await?;
            }
            Err(Error::Exists { table }) if table == TABLE => {
                let words = format!("This event has a relation to this {} already", side.as_str());
                return Err(Problem::new(Code::Conflict, words));
            }
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

/// Reads a new relation: what it says, to whom, and the fields that have no effect.
async fn draft(scene: &Scene<'_>, body: Value) -> Result<(Relation, EntryRecord, Vec<String>), Problem> {
    let Scene { app, caller, side, now, .. } = *scene;
    let (field, mut party) = (format!("{}Id", side.as_str()), String::new());
    let mut form = forms::form(body)?;
    let is_named = form.require(&field, Presence::New, &mut party, text(ID_CHARS_MAX));
    let first = form.take("status", word(Standing::FIRST, Standing::as_str)).unwrap_or_default();
    let mut relation = Relation::to(side, party, first, now);
    relation.read(&mut form, side);
    let id = EntryId::parse(relation.party()).filter(|_| is_named);
    let entry = match id {
        Some(id) => app.store.entry(side, id.as_str()).await?,
        None => None,
    };
    let entry = entry.filter(|entry| is_visible(caller, entry));
    if is_named && entry.is_none() {
        form.refuse(&field, format!("names no {} of the directory", side.as_str()));
    }
    let ignored = forms::finish(form)?;
    let entry = entry.ok_or_else(|| Problem::field(field, "field is required"))?;
    Ok((relation, entry, ignored))
}

/// Whether the caller can see an entry.
pub(super) fn is_visible(caller: &Caller, entry: &EntryRecord) -> bool {
    entry.review.as_str() == directory::APPROVED || Viewer::of(caller) == Viewer::Admin
}

fn created(scene: &Scene<'_>, made: &Hung<Relation>, entry: &EntryRecord, ignored: &[String]) -> Reply {
    let (event, side) = (&scene.event.id, scene.side);
    let more = named(side, &entry.profile.name);
    let meta = forms::ignored(Map::from_iter([("created".to_owned(), true.into())]), ignored);
    let reply = Reply::with(StatusCode::CREATED, &made.shown_with(event, &more), Some(&meta));
    Reply {
        location: Some(format!("/api/v1/events/{event}/{}s/{}", side.as_str(), made.id)),
        ..reply.tagged_as(made.etag())
    }
}

/// Changes a relation, or does nothing at all.
pub async fn change(scene: &Scene<'_>, id: &str, body: Value, if_match: &IfMatch) -> Result<Reply, Problem> {
    let Scene { app, side, now, .. } = *scene;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = parts::find::<Relation>(app, &scene.branch(), id).await?;
        if_match.check(&before.etag())?;
        let mut form = forms::form(body.clone())?;
        forms::check_change(&form)?;
        let (mut relation, mut to) = (before.body.clone(), before.body.status);
        relation.read(&mut form, side);
        form.require("status", Presence::Known, &mut to, word(Standing::ALL, Standing::as_str));
        let ignored = forms::finish(form)?;
        relation.go(side, to, now).map_err(|illegal| Problem::bad_request(illegal.to_string()))?;
        let entry = directory::find(app, side, before.body.party()).await?;
        let Some(after) = before.changed(relation, now) else {
            return Ok(shown(scene, &before, &entry, &ignored));
        };
        let mut set = WriteSet::new();
        let after = write(scene, &mut set, Some(&before), after, &entry, None).await?;
        match app.store.submit(set).await {
            Ok(()) => return Ok(shown(scene, &after, &entry, &ignored)),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes a relation. Of one that was confirmed, what nobody touched in the budget does not count any more.
pub async fn delete(scene: &Scene<'_>, id: &str, if_match: &IfMatch) -> Result<Reply, Problem> {
    let Scene { app, side, now, .. } = *scene;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let gone = parts::find::<Relation>(app, &scene.branch(), id).await?;
        if_match.check(&gone.etag())?;
        let mut set = WriteSet::new();
        if gone.body.status == Standing::Confirmed {
            let mut declined = gone.body.clone();
            declined.stand(Standing::Declined, now);
            let entry = directory::find(app, side, gone.body.party()).await?;
            book(scene, &mut set, Some(&gone.body), &mut declined, &entry).await?;
        }
        set.delete_part(&scene.branch(), gone.id.as_str(), gone.version);
        set.touch_event(&scene.caller.tenant, &scene.event.id, Basis::EventAlone);
        let act = Act::gone(word_of(side, Verb::Delete), gone.id.as_str(), &gone.shown(&scene.event.id));
        note(app, &mut set, scene.caller, act, now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(Reply::deleted()),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the audit log is told of a relation that was written.
fn act<'a>(scene: &Scene<'_>, before: Option<&Hung<Relation>>, after: &'a Hung<Relation>) -> Act<'a> {
    let (event, id) = (&scene.event.id, after.id.as_str());
    match before {
        None => Act::made(word_of(scene.side, Verb::Create), id, &after.shown(event)),
        Some(before) => {
            let word = word_of(scene.side, Verb::Update);
            Act::changed(word, id, &before.shown(event), &after.shown(event))
        }
    }
}

/// What is done to a relation.
#[derive(Clone, Copy)]
enum Verb {
    Create,
    Update,
    Delete,
}

/// The audit log's word.
fn word_of(side: Side, verb: Verb) -> &'static str {
    match (side, verb) {
        (Side::Vendor, Verb::Create) => "event_vendor.create",
        (Side::Vendor, Verb::Update) => "event_vendor.update",
        (Side::Vendor, Verb::Delete) => "event_vendor.delete",
        (Side::Sponsor, Verb::Create) => "event_sponsor.create",
        (Side::Sponsor, Verb::Update) => "event_sponsor.update",
        (Side::Sponsor, Verb::Delete) => "event_sponsor.delete",
    }
}

/// Writes a relation with all that it causes: the budget, the touch of its event, what is told.
pub(super) async fn write(
    scene: &Scene<'_>,
    set: &mut WriteSet,
    before: Option<&Hung<Relation>>,
    mut after: Hung<Relation>,
    entry: &EntryRecord,
    cause: Option<&ApplicationId>,
) -> Result<Hung<Relation>, Problem> {
    let branch = scene.branch();
    book(scene, set, before.map(|before| &before.body), &mut after.body, entry).await?;
    match before {
        None => set.add_part(&branch, &after.record()?),
        Some(before) => set.change_part(&branch, &after.record()?, before.version),
    }
    note(scene.app, set, scene.caller, act(scene, before, &after), scene.now);
    set.touch_event(&branch.tenant, &branch.event, Basis::EventAlone);
    tell(scene, set, before.map(|before| before.body.status), &after, entry, cause)?;
    Ok(after)
}

/// Does to the budget what a relation calls for. The item it is about is the one it made or took over before; else a
/// planned or committed one that somebody made for the vendor by hand; else a new one.
async fn book(
    scene: &Scene<'_>,
    set: &mut WriteSet,
    before: Option<&Relation>,
    after: &mut Relation,
    entry: &EntryRecord,
) -> Result<(), Problem> {
    let is_binding = |relation: &Relation| relation.cost().is_some() && relation.status.is_binding();
    if !is_binding(after) && !before.is_some_and(is_binding) {
        return Ok(());
    }
    let items = scene.items();
    let known = item_of(scene, &items, after).await?;
    let item = known.as_ref().map(|known| &known.body);
    let Some(item) = booked(before, after, item, &entry.profile, currency(scene.event)) else {
        return Ok(());
    };
    let id = if let Some(known) = &known {
        if let Some(changed) = known.changed(item, scene.now) {
            set.change_part(&items, &changed.record()?, known.version);
            let (was, is) = (known.shown(&items.event), changed.shown(&items.event));
            let act = Act::changed("budget.update", known.id.as_str(), &was, &is);
            note(scene.app, set, scene.caller, act, scene.now);
        }
        known.id.clone()
    } else {
        let made = Hung::new(BudgetItemId::mint(scene.now, scene.app.chance.as_ref()), item, scene.now);
        set.add_part(&items, &made.record()?);
        let act = Act::made("budget.create", made.id.as_str(), &made.shown(&items.event));
        note(scene.app, set, scene.caller, act, scene.now);
        made.id
    };
    after.budget_item_id = Some(id);
    Ok(())
}

/// The item of the budget that stands for a relation.
async fn item_of(
    scene: &Scene<'_>,
    items: &Branch,
    relation: &Relation,
) -> Result<Option<Hung<Item>>, Problem> {
    if let Some(id) = &relation.budget_item_id
        && let Some(record) = scene.app.store.part(items, id.as_str()).await?
    {
        return Hung::of(record).map(Some);
    }
    let is_theirs = |item: &Hung<Item>| {
        item.body.vendor_id == relation.vendor_id
            && item.body.actual_amount.is_none()
            && matches!(item.body.status, Certainty::Planned | Certainty::Committed)
    };
    let all = parts::all::<Item>(scene.app, items).await?;
    Ok(all.into_iter().rev().find(is_theirs))
}

/// Tells that a relation became confirmed or declined.
fn tell(
    scene: &Scene<'_>,
    set: &mut WriteSet,
    before: Option<Standing>,
    relation: &Hung<Relation>,
    entry: &EntryRecord,
    cause: Option<&ApplicationId>,
) -> Result<(), Problem> {
    let Scene { app, caller, event, side, now } = *scene;
    let (body, status) = (&relation.body, relation.body.status);
    // Who was declined before and is declined for another application is told again: they asked again.
    if !status.is_told() || (before == Some(status) && cause.is_none()) {
        return Ok(());
    }
    let money = body.money();
    let category = body.category.as_deref().or(entry.profile.category.as_deref());
    let told = json!({
        "eventId": event.id, "eventTitle": event.plan.title, "relationId": relation.id,
        format!("{}Id", side.as_str()): entry.id, format!("{}Name", side.as_str()): entry.profile.name,
        "status": status, "previousStatus": before, "amount": money,
        "currency": money.map(|_| currency(event)), "category": category, "tier": body.tier, "applicationId": cause,
    });
    let name = format!("{}.{}", side.as_str(), status.as_str());
    announce(app, set, &caller.tenant, &name, relation.id.as_str(), present(&told), now)
}

/// Whether somebody is confirmed for an event.
pub(super) async fn is_anybody_confirmed(
    app: &App,
    tenant: &Tenant,
    event: &EventId,
) -> Result<bool, Problem> {
    let filter = Filter { status: Some(Standing::Confirmed.as_str().to_owned()), facet: None };
    for side in Side::ALL {
        if app.store.parts_count(&branch(tenant, event, side), &filter, 1).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The relations of an event for its copy: everybody who did not decline is to be asked again. Answers how many.
pub(super) async fn copy(
    app: &App,
    set: &mut WriteSet,
    tenant: &Tenant,
    (first, copy): (&EventId, &EventId),
    side: Side,
    now: Millis,
) -> Result<usize, Problem> {
    let from = parts::all::<Relation>(app, &branch(tenant, first, side)).await?;
    let (branch, count) = (branch(tenant, copy, side), from.len());
    for relation in from.into_iter().rev().filter(|one| one.body.status != Standing::Declined) {
        let id = RelationId::mint(now, app.chance.as_ref());
        set.add_part(&branch, &Hung::new(id, relation.body.copied(now), now).record()?);
    }
    Ok(count)
}
