//! Planned events: making, changing, copying, removing and finding them.
//!
//! Invariant: a change is decided on a version that was read and written only if it is still that version;
//! otherwise it is decided again. Its signals are in the same write set. What changes nothing says nothing.
//! Not here: the rules (the domain), what hangs on an event, calendars (see `calendar`).

use crate::app::announce::{announce, present};
use crate::app::audit::{Act, note};
use crate::app::parts::{self, Hung};
use crate::app::{forms, relations, tasks};
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
use openevent_domain::id::{BudgetItemId, EventId, TaskId};
use openevent_domain::planning::budget::{Certainty, Item};
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::event::{Changed, Event};
use openevent_domain::planning::form::{Form, Presence, text, texts, time, whole, word};
use openevent_domain::planning::plan::{LocationType, Plan, TITLE_CHARS_MAX, WORD_CHARS_MAX};
use openevent_domain::planning::search::Query;
use openevent_domain::planning::status::{State, Status};
use openevent_domain::planning::task::{Progress, Task};
use openevent_domain::planning::zone::{EARLIEST, LATEST, Zone};
use openevent_domain::tenant::Tenant;
use openevent_store::planning::events::{
    Audience, Direction, EventRecord, Filter, Key, Listing, Place, Sort,
};
use openevent_store::planning::unread::{Document, Unread};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How often a change is decided again because somebody else was first.
pub(super) const ATTEMPTS_MAX: u32 = 16;
/// Parts that are copied with an event.
const COPIED_MAX: usize = 1_000;
/// Days a copy may be moved.
const SHIFT_DAYS_MAX: i64 = 366_000;

/// An event as members of its project see it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(flatten)]
    tail: Tail<'a>,
}

/// What is shown before its plan.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_changed_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_from: Option<Status>,
}

/// What is shown after it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tail<'a> {
    created_by: &'a str,
    created_at: Millis,
    updated_at: Millis,
}

impl<'a> Shown<'a> {
    fn of(event: &'a Event) -> Self {
        Self { head: Head::of(event), plan: &event.plan, tail: Tail::of(event) }
    }
}

impl<'a> Head<'a> {
    fn of<P>(event: &'a Event<P>) -> Self {
        Self {
            underscore_id: event.id.as_str(),
            id: event.id.as_str(),
            event_id: None,
            status: event.state.status(),
            status_changed_at: event.state.since(),
            cancelled_from: event.state.cancelled_from(),
        }
    }
}

impl<'a> Tail<'a> {
    fn of<P>(event: &'a Event<P>) -> Self {
        Self { created_by: &event.owner, created_at: event.created_at, updated_at: event.updated_at }
    }
}

/// Makes an event.
pub async fn create(
    app: &App,
    caller: &Caller,
    fields: Map<String, Value>,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut set = WriteSet::new();
    let (event, ignored) = make(app, caller, &mut set, fields, now)?;
    note(app, &mut set, caller, Act::made("event.create", event.id.as_str(), &Shown::of(&event)), now);
    guard.commit(&app.store, set, created_reply(&event, &ignored)).await
}

/// Adds the event that fields describe to a set; names the fields without effect.
pub(super) fn make(
    app: &App,
    caller: &Caller,
    set: &mut WriteSet,
    fields: Map<String, Value>,
    now: Millis,
) -> Result<(Event, Vec<String>), Problem> {
    let mut form = Form::of(fields);
    let mut plan = Plan::default();
    plan.read(&mut form, Presence::New);
    let first = form.take("status", word(Status::FIRST, Status::as_str)).unwrap_or(Status::Draft);
    let ignored = forms::finish(form)?;
    let event = new(app, caller, plan, State::first(first, now).unwrap_or(State::Draft), now);
    add(app, set, &caller.tenant, &event, now)?;
    Ok((event, ignored))
}

fn new(app: &App, caller: &Caller, plan: Plan, state: State, now: Millis) -> Event {
    let id = EventId::mint(now, app.chance.as_ref());
    Event::new(id, plan, state, caller.credential.as_str().to_owned(), now)
}

/// Makes an event like another: a draft, perhaps on other days.
pub async fn clone(
    app: &App,
    caller: &Caller,
    first: Event,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = if body.is_null() { Form::of(Map::new()) } else { forms::form(body)? };
    let mut plan = first.plan.clone();
    let title = form.take("title", text(TITLE_CHARS_MAX));
    let start = form.take("startDate", time);
    let days = form.take("shiftDays", whole(-SHIFT_DAYS_MAX, SHIFT_DAYS_MAX));
    if start.is_some() && days.is_some() {
        form.refuse("shiftDays", "cannot be combined with startDate");
    } else if !shift(&mut plan, start, days) {
        form.refuse(
            if days.is_some() { "shiftDays" } else { "startDate" },
            "moves the event out of the calendar",
        );
    }
    let kinds = [
        ("tasks", "tasks:write"),
        ("budget", "budget:write"),
        ("vendors", "events:write"),
        ("sponsors", "events:write"),
    ];
    let mut copied = Vec::new();
    form.set("copy", &mut copied, texts(kinds.len(), WORD_CHARS_MAX));
    if let Some(odd) = copied.iter().find(|word| kinds.iter().all(|(kind, _)| kind != word)) {
        form.refuse("copy", format!("cannot copy `{odd}`; it can copy tasks, budget, vendors and sponsors"));
    }
    let ignored = forms::finish(form)?;
    let copies = |kind: &str| copied.iter().any(|word| word == kind);
    for (kind, scope) in kinds {
        if copies(kind) {
            caller.require(scope)?;
        }
    }
    plan.title = title.unwrap_or(plan.title);
    let copy = new(app, caller, plan, State::Draft, now);
    let mut set = WriteSet::new();
    add(app, &mut set, &caller.tenant, &copy, now)?;
    note(app, &mut set, caller, cloned(&first, &copy, &copied), now);
    if copies("tasks") {
        copy_tasks(app, &mut set, &caller.tenant, &first, &copy, now).await?;
    }
    if copies("budget") {
        copy_budget(app, &mut set, &caller.tenant, &first.id, &copy.id, now).await?;
    }
    for (side, kind) in [(Side::Vendor, "vendors"), (Side::Sponsor, "sponsors")] {
        if copies(kind) {
            let pair = (&first.id, &copy.id);
            check_copied(relations::copy(app, &mut set, &caller.tenant, pair, side, now).await?)?;
        }
    }
    guard.commit(&app.store, set, created_reply(&copy, &ignored)).await
}

fn cloned<'a>(first: &Event, copy: &'a Event, copied: &[String]) -> Act<'a> {
    let mut act = Act::made("event.clone", copy.id.as_str(), &Shown::of(copy));
    if let Some(Value::Object(after)) = &mut act.after {
        after.insert("clonedFrom".to_owned(), json!(first.id));
        after.insert("copied".to_owned(), json!(copied));
    }
    act
}

/// The tasks of an event for its copy: nothing done yet, due as much later as the copy is, waiting for each other.
async fn copy_tasks(
    app: &App,
    set: &mut WriteSet,
    tenant: &Tenant,
    first: &Event,
    copy: &Event,
    now: Millis,
) -> Result<(), Problem> {
    let from = parts::all::<Task>(app, &parts::branch::<Task>(tenant, &first.id)).await?;
    check_copied(from.len())?;
    let ids: BTreeMap<TaskId, TaskId> =
        from.iter().map(|task| (task.id.clone(), TaskId::mint(now, app.chance.as_ref()))).collect();
    let later = copy.plan.start_at - first.plan.start_at;
    let branch = parts::branch::<Task>(tenant, &copy.id);
    for task in from.into_iter().rev() {
        let body = Task {
            status: Progress::Todo,
            completed_at: None,
            first_completed_at: None,
            due_date: task.body.due_date.map(|due| due.saturating_add(later).clamp(EARLIEST, LATEST)),
            blocked_by: task.body.blocked_by.iter().filter_map(|id| ids.get(id).cloned()).collect(),
            ..task.body
        };
        tasks::add(app, set, &branch, &Hung::new(ids[&task.id].clone(), body, now), now)?;
    }
    Ok(())
}

/// The budget of an event for its copy: everything planned, nothing paid.
async fn copy_budget(
    app: &App,
    set: &mut WriteSet,
    tenant: &Tenant,
    first: &EventId,
    copy: &EventId,
    now: Millis,
) -> Result<(), Problem> {
    let from = parts::all::<Item>(app, &parts::branch::<Item>(tenant, first)).await?;
    check_copied(from.len())?;
    let branch = parts::branch::<Item>(tenant, copy);
    for item in from.into_iter().rev().filter(|item| item.body.status != Certainty::Cancelled) {
        let body = Item { status: Certainty::Planned, actual_amount: None, ..item.body };
        let id = BudgetItemId::mint(now, app.chance.as_ref());
        set.add_part(&branch, &Hung::new(id, body, now).record()?);
    }
    Ok(())
}

fn check_copied(count: usize) -> Result<(), Problem> {
    if count <= COPIED_MAX {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "An event with more than {COPIED_MAX} tasks, budget items, vendors or sponsors cannot be copied with them"
    )))
}

/// Moves a plan: to a start, keeping its length, or by days, keeping the time of the day by its clocks.
fn shift(plan: &mut Plan, start: Option<Millis>, days: Option<i64>) -> bool {
    let moved = |at: Millis| match (start, days, &plan.timezone) {
        (Some(start), _, _) => at.checked_add(start - plan.start_at).filter(|at| *at <= LATEST),
        (None, Some(days), Some(zone)) => zone.days_later(at, days),
        (None, Some(days), None) => Zone::parse("UTC").ok().and_then(|zone| zone.days_later(at, days)),
        (None, None, _) => Some(at),
    };
    let (Some(start_at), Some(end_at)) =
        (moved(plan.start_at), plan.end_at.map_or(Some(None), |end| moved(end).map(Some)))
    else {
        return false;
    };
    (plan.start_at, plan.end_at) = (start_at, end_at);
    true
}

fn add(app: &App, set: &mut WriteSet, tenant: &Tenant, event: &Event, now: Millis) -> Result<(), Problem> {
    set.add_event(tenant, event);
    tell(app, set, tenant, "event.created", event, Map::new(), now)
}

fn created_reply(event: &Event, ignored: &[String]) -> Reply {
    let head = Head { event_id: Some(event.id.as_str()), ..Head::of(event) };
    let shown = Shown { head, ..Shown::of(event) };
    let meta = forms::ignored(Map::from_iter([("created".to_owned(), true.into())]), ignored);
    Reply {
        location: Some(format!("/api/v1/events/{}", event.id)),
        ..Reply::with(StatusCode::CREATED, &shown, Some(&meta)).tagged_as(etag(event))
    }
}

/// One event.
pub async fn get(app: &App, tenant: &Tenant, id: &str) -> Result<Reply, Problem> {
    let event = find(app, tenant, id).await?.event;
    Ok(Reply::ok(&Shown::of(&event)).tagged_as(etag(&event)))
}

/// One event as it is stored.
pub async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<EventRecord, Problem> {
    let missing = || Problem::not_found("Event");
    let id = EventId::parse(id).ok_or_else(missing)?;
    app.store.event(tenant, &id).await?.ok_or_else(missing)
}

/// An event as it is now that somebody else was first.
pub(super) async fn again(app: &App, tenant: &Tenant, id: &EventId) -> Result<EventRecord, Problem> {
    app.store.event(tenant, id).await?.ok_or_else(|| Problem::not_found("Event"))
}

/// Changes an event, or does nothing at all.
pub async fn change(
    app: &App,
    caller: &Caller,
    mut record: EventRecord,
    body: Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = record.event;
        if_match.check(&etag(&before))?;
        let form = forms::form(body.clone())?;
        forms::check_change(&form)?;
        let mut set = WriteSet::new();
        let (changed, ignored) = alter(app, tenant, &mut set, &before, form, now)?;
        let Some(changed) = changed else { return Ok(changed_reply(&before, &ignored)) };
        let (was, is) = (Shown::of(&before), Shown::of(&changed.event));
        note(app, &mut set, caller, Act::changed("event.update", before.id.as_str(), &was, &is), now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(changed_reply(&changed.event, &ignored)),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                record = again(app, tenant, &before.id).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Adds what a form changes of an event to a set, if it changes anything; names the fields without effect.
pub(super) fn alter(
    app: &App,
    tenant: &Tenant,
    set: &mut WriteSet,
    before: &Event,
    mut form: Form,
    now: Millis,
) -> Result<(Option<Changed>, Vec<String>), Problem> {
    let (mut plan, mut status) = (before.plan.clone(), before.state.status());
    plan.read(&mut form, Presence::Known);
    form.require("status", Presence::Known, &mut status, word(Status::ALL, Status::as_str));
    let ignored = forms::finish(form)?;
    let changed = before.change(plan, Some(status), now);
    let changed = changed.map_err(|illegal| Problem::bad_request(illegal.to_string()))?;
    if let Some(changed) = &changed {
        set.change_event(tenant, &changed.event, before.version);
        tell_change(app, set, tenant, changed, now)?;
    }
    Ok((changed, ignored))
}

/// An event as members see it, as JSON.
pub(super) fn value(event: &Event) -> Value {
    json!(Shown::of(event))
}

fn changed_reply(event: &Event, ignored: &[String]) -> Reply {
    let reply = match ignored {
        [] => Reply::ok(&Shown::of(event)),
        names => Reply::ok_with_meta(&Shown::of(event), &forms::ignored(Map::new(), names)),
    };
    reply.tagged_as(etag(event))
}

/// Removes an event.
pub async fn delete(
    app: &App,
    caller: &Caller,
    mut record: EventRecord,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let mut attempt = 0;
    loop {
        attempt += 1;
        if_match.check(&etag(&record.event))?;
        check_deletable(app, tenant, &record.event).await?;
        let mut set = WriteSet::new();
        set.delete_event(tenant, &record);
        set.delete_parts(tenant, &record.event.id);
        set.delete_application_tokens(tenant, &record.event.id);
        tell(app, &mut set, tenant, "event.deleted", &record.event, Map::new(), now)?;
        let act = Act::gone("event.delete", record.event.id.as_str(), &Shown::of(&record.event));
        note(app, &mut set, caller, act, now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(Reply::deleted()),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                record = again(app, tenant, &record.event.id).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Refuses while others count on the event. Whoever is confirmed after this look touches the event, so the deletion
/// that was decided on it misses.
async fn check_deletable(app: &App, tenant: &Tenant, event: &Event) -> Result<(), Problem> {
    let is_active = event.state.status() == Status::Active;
    if is_active && relations::is_anybody_confirmed(app, tenant, &event.id).await? {
        let words = "An active event with a confirmed vendor or sponsor cannot be deleted; decline them or cancel it first";
        return Err(Problem::bad_request(words));
    }
    Ok(())
}

/// A page of a project's events.
pub async fn list(app: &App, tenant: &Tenant, list: &List) -> Result<Reply, Problem> {
    let filter = filter(&list.params)?;
    let is_search = filter.search.is_some();
    let (sort, direction) = order(&list.params, is_search)?;
    let listing = Listing { audience: Audience::Members(tenant.clone()), filter, sort, direction };
    let (rows, meta) = page(app, &listing, list).await?;
    let shown = rows.iter().map(|EventRecord { event, .. }: &EventRecord<Unread>| {
        event.plan.between(&Head::of(event), &Tail::of(event))
    });
    Ok(list.reply(&shown.collect::<Result<Vec<_>, _>>()?, &meta))
}

/// The rows of a page, and what the page says about itself.
pub async fn page<P: Document>(
    app: &App,
    listing: &Listing,
    list: &List,
) -> Result<(Vec<EventRecord<P>>, ListMeta), Problem> {
    let place = match list.after::<(Key, EventId)>()? {
        Some((key, id)) if fits(&key, listing) => Place::After(key, id),
        Some(_) => return Err(Problem::field("cursor", "was given out for another order")),
        None => Place::Offset(list.offset()),
    };
    let (mut rows, total) = app.store.events_page(listing, &place, list.limit + 1).await?;
    let has_more = rows.len() as i64 > list.limit;
    rows.truncate(list.limit as usize);
    let next = rows.last().filter(|_| has_more).map(|row| cursor(&(&row.key, &row.event.id)));
    let meta = list.meta(list.total(total, rows.len(), has_more), has_more, next);
    Ok((rows, meta))
}

fn fits(key: &Key, listing: &Listing) -> bool {
    match listing.sort {
        Sort::Creation | Sort::Start | Sort::Update => matches!(key, Key::Time(_)),
        Sort::Title => matches!(key, Key::Text(_)),
        Sort::Relevance => matches!(key, Key::Rank(..)),
    }
}

/// The filters of a list of events.
pub fn filter(params: &Params) -> Result<Filter, Problem> {
    Ok(Filter {
        status: params.one_of("status", &Status::ALL.map(|status| (status.as_str(), status)))?,
        event_type: params.get("eventType").filter(|word| *word != "all").map(str::to_owned),
        location_type: params.one_of("locationType", &LocationType::ALL.map(|kind| (kind.as_str(), kind)))?,
        is_public: params.flag("isPublic")?,
        seeking_vendors: params.flag("seekingVendors")?,
        seeking_sponsors: params.flag("seekingSponsors")?,
        from: params.time("from")?,
        to: params.time("to")?,
        search: params.get("search").and_then(Query::parse),
    })
}

/// The order of a list of events.
pub fn order(params: &Params, is_search: bool) -> Result<(Sort, Direction), Problem> {
    use Direction::{Ascending, Descending};
    let orders = [
        ("-createdAt", (Sort::Creation, Descending)),
        ("createdAt", (Sort::Creation, Ascending)),
        ("-startDate", (Sort::Start, Descending)),
        ("startDate", (Sort::Start, Ascending)),
        ("-updatedAt", (Sort::Update, Descending)),
        ("updatedAt", (Sort::Update, Ascending)),
        ("-title", (Sort::Title, Descending)),
        ("title", (Sort::Title, Ascending)),
    ];
    let usual = if is_search { Sort::Relevance } else { Sort::Creation };
    Ok(params.one_of("sort", &orders)?.unwrap_or((usual, Descending)))
}

/// The tag of an event's present state.
fn etag(event: &Event) -> String {
    format!("\"{}\"", event.version)
}

fn tell_change(
    app: &App,
    set: &mut WriteSet,
    tenant: &Tenant,
    changed: &Changed,
    now: Millis,
) -> Result<(), Problem> {
    let names: Vec<_> = changed.fields.keys().collect();
    let mut more = Map::new();
    more.insert("changedFields".to_owned(), json!(names));
    more.insert("changes".to_owned(), Value::Object(changed.fields.clone()));
    tell(app, set, tenant, "event.updated", &changed.event, more, now)?;
    if let Some(previous) = changed.previous {
        let more = Map::from_iter([("previousStatus".to_owned(), previous.as_str().into())]);
        tell(app, set, tenant, "event.status_changed", &changed.event, more, now)?;
    }
    Ok(())
}

/// Raises a signal about an event: what it is, and what else there is to say.
fn tell(
    app: &App,
    set: &mut WriteSet,
    tenant: &Tenant,
    name: &str,
    event: &Event,
    more: Map<String, Value>,
    now: Millis,
) -> Result<(), Problem> {
    let plan = &event.plan;
    let told = json!({
        "eventId": event.id, "title": plan.title, "status": event.state.status(), "startDate": plan.start_at,
        "endDate": plan.end_at, "timezone": plan.timezone, "eventType": plan.event_type, "isPublic": plan.is_public,
    });
    let payload = present(&told).into_iter().chain(more).collect();
    announce(app, set, tenant, name, event.id.as_str(), payload, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_its_length_or_its_time_of_the_day() {
        let plan = Plan {
            start_at: 1_774_684_800_000,
            end_at: Some(1_774_684_800_000 + 3_600_000),
            timezone: Zone::parse("Europe/Berlin").ok(),
            ..Plan::default()
        };
        let mut by_days = plan.clone();
        assert!(shift(&mut by_days, None, Some(1)));
        assert_eq!(by_days.start_at - plan.start_at, 86_400_000 - 3_600_000, "the night lost an hour");
        let mut by_start = plan.clone();
        assert!(shift(&mut by_start, Some(0), None));
        assert_eq!((by_start.start_at, by_start.end_at), (0, Some(3_600_000)));
        assert!(!shift(&mut plan.clone(), Some(LATEST), None));
    }
}
