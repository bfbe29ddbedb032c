//! Applications of vendors and sponsors: to the directory and to events, without a key, and what organisers decide.
//!
//! Invariant: one open application for a pair. A decision, the relation it leads to and what is told of it are one
//! commit. An applicant's token is known to nobody but them: its hash is stored.
//! Not here: what a decision makes of a relation (the domain's `planning::application`).

use crate::app::announce::{announce, present};
use crate::app::audit::{self, Act, Who, note};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::parts::{self, Hung, Part, Placed, branch};
use crate::app::relations::{self, Scene, name};
use crate::app::{directory, forms};
use crate::face::caller::{Caller, Origin};
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::List;
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use http::StatusCode;
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::api_key::{hash, hex};
use openevent_domain::id::{ApplicationId, EventId, RelationId};
use openevent_domain::planning::application::{Application, MESSAGE_CHARS_MAX, Outcome, Stage};
use openevent_domain::planning::directory::{Author, Profile, Side};
use openevent_domain::planning::event::Event;
use openevent_domain::planning::form::{Presence, text, word};
use openevent_domain::planning::relation::{Relation, Standing};
use openevent_domain::tenant::Tenant;
use openevent_store::audit::instance;
use openevent_store::planning::applications::Subject;
use openevent_store::planning::directory::EntryRecord;
use openevent_store::planning::parts::{Basis, Filter, Kind, TABLE};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

impl Part for Application {
    type Id = ApplicationId;
    const WHAT: &'static str = "Application";

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn facet(&self) -> Option<&str> {
        Some(self.applicant_type.as_str())
    }

    /// While it is open there is no other of the same applicant.
    fn party(&self) -> Option<&str> {
        Some(self.applicant_id.as_str()).filter(|_| self.is_open())
    }
}

impl Placed for Application {
    const KIND: Kind = Kind::Application;
    const FOLDER: &'static str = "applications";
}

/// A secret that names an application.
fn mint(chance: &dyn Chance) -> String {
    let mut bytes = [0_u8; TOKEN_BYTES];
    chance.fill(&mut bytes);
    hex(&bytes)
}

/// What an applicant gets: where their application can be looked at, with the token that names it, once.
fn taken(id: &str, token: &str, status: &str, ignored: &[String]) -> Reply {
    let data = json!({"_id": id, "id": id, "statusToken": token, "status": status});
    let meta = forms::ignored(Map::from_iter([("created".to_owned(), true.into())]), ignored);
    Reply {
        location: Some(format!("/api/v1/public/applications/{token}")),
        ..Reply::with(StatusCode::CREATED, &data, Some(&meta)).with_secret("statusToken")
    }
}

/// Takes in a vendor or a sponsor who wants to be in the directory. It is for admins to review, so it is told in the
/// default project, which is theirs.
pub async fn enrol(
    app: &App,
    side: Side,
    body: Value,
    guard: Guard,
    origin: &Origin,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body)?;
    let mut profile = Profile::default();
    profile.read(&mut form, side, Presence::New, Author::Themselves);
    let ignored = forms::finish(form)?;
    let (id, entry) = directory::new(app, side, profile, now);
    let token = mint(app.chance.as_ref());
    let mut set = WriteSet::new();
    set.add_entry(&entry);
    set.add_application_token(&hash(&token), &Subject::Entry(id), side, now);
    let told = json!({
        format!("{}Id", side.as_str()): entry.id, format!("{}Name", side.as_str()): entry.profile.name,
        side.group_field(): entry.profile.group(), "status": entry.review.as_str(),
        "contactName": entry.profile.contact_name, "contactEmail": entry.profile.contact_email,
    });
    let tenant = app.keyring.operator().tenant.clone();
    announce(app, &mut set, &tenant, applied(side), &entry.id, present(&told), now)?;
    let word = if side == Side::Vendor { "vendor.apply" } else { "sponsor.apply" };
    let act = Act::made(word, &entry.id, &entry.profile);
    set.add_audit(&audit::row(app.chance.as_ref(), instance(), &Who::public(origin), act, now));
    let reply = taken(&entry.id, &token, entry.review.as_str(), &ignored);
    guard.commit(&app.store, set, reply).await
}

fn applied(side: Side) -> &'static str {
    match side {
        Side::Vendor => "vendor.applied",
        Side::Sponsor => "sponsor.applied",
    }
}

/// Takes in an application to a public event.
pub async fn apply(
    app: &App,
    event: &str,
    body: Value,
    guard: Guard,
    origin: &Origin,
    now: Millis,
) -> Result<Reply, Problem> {
    let (tenant, event) = public_event(app, event).await?;
    let (application, entry, ignored) = read(app, &event, body).await?;
    let side = application.applicant_type;
    check_free(app, &tenant, &event, &entry).await?;
    let id = ApplicationId::mint(now, app.chance.as_ref());
    let token = mint(app.chance.as_ref());
    let made = Hung::new(id.clone(), application, now);
    let branch = branch::<Application>(&tenant, &event.id);
    let subject = Subject::Application { tenant: tenant.clone(), event: event.id.clone(), id };
    let mut set = WriteSet::new();
    set.add_part(&branch, &made.record()?);
    set.touch_event(&tenant, &event.id, Basis::EventAlone);
    set.add_application_token(&hash(&token), &subject, side, now);
    let told = told(&event, &made, &entry);
    announce(app, &mut set, &tenant, applied(side), made.id.as_str(), told, now)?;
    let act = Act::made("application.create", made.id.as_str(), &made.shown(&event.id));
    set.add_audit(&audit::row(app.chance.as_ref(), tenant, &Who::public(origin), act, now));
    let reply = taken(made.id.as_str(), &token, made.body.status.as_str(), &ignored);
    guard.remember(&mut set, &reply);
    match app.store.submit(set).await {
        Ok(()) => Ok(reply),
        Err(Error::Missed(_)) => Err(Problem::not_found("Event")),
        Err(Error::Exists { table }) if table == TABLE => {
            let words = format!("This {} has an open application to this event already", side.as_str());
            Err(Problem::new(Code::Conflict, words))
        }
        Err(error) => guard.settle(&app.store, error).await,
    }
}

/// An event that everybody can see, and whose it is.
async fn public_event(app: &App, id: &str) -> Result<(Tenant, Event), Problem> {
    let missing = || Problem::not_found("Event");
    let id = EventId::parse(id).ok_or_else(missing)?;
    let tenant = app.store.tenant_of_public_event(&id).await?.ok_or_else(missing)?;
    let record = app.store.event(&tenant, &id).await?.ok_or_else(missing)?;
    Ok((tenant, record.event))
}

/// Reads an application: what it says, whose it is, and the fields that have no effect.
async fn read(
    app: &App,
    event: &Event,
    body: Value,
) -> Result<(Application, EntryRecord, Vec<String>), Problem> {
    let mut form = forms::form(body)?;
    let mut application = Application::blank();
    let is_known = application.read(&mut form);
    let side = application.applicant_type;
    let entry =
        if is_known { directory::approved(app, side, &application.applicant_id).await? } else { None };
    if is_known && entry.is_none() {
        form.refuse("applicantId", format!("names no approved {} of the directory", side.as_str()));
    }
    let ignored = forms::finish(form)?;
    let is_sought = match side {
        Side::Vendor => event.plan.seeking_vendors,
        Side::Sponsor => event.plan.seeking_sponsors,
    };
    if !is_sought {
        return Err(Problem::bad_request(format!("This event does not seek {}s", side.as_str())));
    }
    let entry = entry.ok_or_else(|| Problem::field("applicantId", "field is required"))?;
    application.verify(entry.profile.contact_email.as_deref());
    Ok((application, entry, ignored))
}

/// Refuses who is confirmed already.
async fn check_free(app: &App, tenant: &Tenant, event: &Event, entry: &EntryRecord) -> Result<(), Problem> {
    let branch = relations::branch(tenant, &event.id, entry.side);
    let relation = app.store.part_of(&branch, &entry.id).await?.map(Hung::<Relation>::of).transpose()?;
    if relation.is_some_and(|relation| relation.body.status.is_binding()) {
        let words = format!("This {} is confirmed for this event already", entry.side.as_str());
        return Err(Problem::new(Code::Conflict, words));
    }
    Ok(())
}

fn told(event: &Event, made: &Hung<Application>, entry: &EntryRecord) -> Map<String, Value> {
    let (body, side) = (&made.body, entry.side);
    present(&json!({
        "eventId": event.id, "eventTitle": event.plan.title, "applicationId": made.id, "status": body.status,
        format!("{}Id", side.as_str()): entry.id, format!("{}Name", side.as_str()): entry.profile.name,
        side.group_field(): entry.profile.group(), "message": body.message, "proposedBudget": body.proposed_budget,
        "proposedTier": body.proposed_tier, "contactName": body.contact_name, "contactEmail": body.contact_email,
        "verified": body.verified,
    }))
}

/// What an applicant sees of their application.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    applicant_type: Side,
    applicant_id: &'a str,
    applicant_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_title: Option<&'a str>,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Millis>,
    created_at: Millis,
}

/// How far an application is, for whoever has its token.
pub async fn status(app: &App, token: &str) -> Result<Reply, Problem> {
    let missing = || Problem::not_found("Application");
    let (subject, side) = app.store.application_token(&hash(token)).await?.ok_or_else(missing)?;
    match subject {
        Subject::Entry(id) => {
            let entry = app.store.entry(side, id.as_str()).await?.ok_or_else(missing)?;
            Ok(Reply::ok(&status_of_entry(&entry)).tagged())
        }
        Subject::Application { tenant, event, id } => {
            let branch = branch::<Application>(&tenant, &event);
            let event = app.store.event(&tenant, &event).await?.ok_or_else(missing)?.event;
            let found = parts::find::<Application>(app, &branch, id.as_str()).await?;
            let entry = app.store.entry(side, &found.body.applicant_id).await?.ok_or_else(missing)?;
            Ok(Reply::ok(&status_of_application(&event, &found, &entry)).tagged())
        }
    }
}

fn status_of_entry(entry: &EntryRecord) -> Shown<'_> {
    Shown {
        underscore_id: &entry.id,
        id: &entry.id,
        applicant_type: entry.side,
        applicant_id: &entry.id,
        applicant_name: &entry.profile.name,
        event_id: None,
        event_title: None,
        status: entry.review.as_str(),
        rejection_reason: entry.review.reason(),
        decided_at: entry.review.at(),
        created_at: entry.created_at,
    }
}

fn status_of_application<'a>(
    event: &'a Event,
    found: &'a Hung<Application>,
    entry: &'a EntryRecord,
) -> Shown<'a> {
    let body = &found.body;
    Shown {
        underscore_id: found.id.as_str(),
        id: found.id.as_str(),
        applicant_type: body.applicant_type,
        applicant_id: &body.applicant_id,
        applicant_name: &entry.profile.name,
        event_id: Some(&event.id),
        event_title: Some(&event.plan.title),
        status: body.status.as_str(),
        rejection_reason: body.rejection_reason.as_deref(),
        decided_at: body.decided_at,
        created_at: found.created_at,
    }
}

/// A page of an event's applications.
pub async fn list(app: &App, tenant: &Tenant, event: &EventId, list: &List) -> Result<Reply, Problem> {
    let stage = list.params.one_of("status", &Stage::ALL.map(|one| (one.as_str(), one)))?;
    let side = list.params.one_of("applicantType", &Side::ALL.map(|one| (one.as_str(), one)))?;
    let filter = Filter {
        status: stage.map(|stage| stage.as_str().to_owned()),
        facet: side.map(|side| side.as_str().to_owned()),
    };
    let branch = branch::<Application>(tenant, event);
    let (rows, meta) = parts::page::<Application>(app, &branch, &filter, list).await?;
    let mut names = BTreeMap::new();
    for side in Side::ALL {
        let theirs = rows.iter().filter(|row| row.body.applicant_type == side);
        let ids: Vec<_> = theirs.map(|row| row.body.applicant_id.as_str()).collect();
        names.extend(app.store.entry_names(side, &ids).await?);
    }
    let members: Vec<_> = rows.iter().map(|row| named(name(&names, &row.body.applicant_id))).collect();
    let shown: Vec<_> = rows.iter().zip(&members).map(|(row, more)| row.shown_with(event, more)).collect();
    Ok(list.reply(&shown, &meta))
}

fn named(name: &str) -> Map<String, Value> {
    Map::from_iter([("applicantName".to_owned(), name.into())])
}

/// One application.
pub async fn get(app: &App, tenant: &Tenant, event: &EventId, id: &str) -> Result<Reply, Problem> {
    let found = parts::find::<Application>(app, &branch::<Application>(tenant, event), id).await?;
    let entry = directory::find(app, found.body.applicant_type, &found.body.applicant_id).await?;
    Ok(shown(&found, event, &entry, &[]))
}

fn shown(application: &Hung<Application>, event: &EventId, entry: &EntryRecord, ignored: &[String]) -> Reply {
    let more = named(&entry.profile.name);
    let view = application.shown_with(event, &more);
    let reply = match ignored {
        [] => Reply::ok(&view),
        names => Reply::ok_with_meta(&view, &forms::ignored(Map::new(), names)),
    };
    reply.tagged_as(application.etag())
}

/// Takes an application up or decides it, or does nothing at all.
pub async fn decide(
    app: &App,
    caller: &Caller,
    event: &Event,
    id: &str,
    body: Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let branch = branch::<Application>(&caller.tenant, &event.id);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = parts::find::<Application>(app, &branch, id).await?;
        if_match.check(&before.etag())?;
        let (mut application, ignored) = step(&before.body, body.clone())?;
        let scene = Scene { app, caller, event, side: application.applicant_type, now };
        let entry = directory::find(app, scene.side, &application.applicant_id).await?;
        let mut set = WriteSet::new();
        let outcome = application.status.outcome().filter(|_| before.body.is_open());
        if let Some(outcome) = outcome {
            application.decided_at = Some(now);
            let relation = settle(&scene, &mut set, &before, outcome, &entry).await?;
            application.relation_id = Some(relation);
        }
        let Some(after) = before.changed(application, now) else {
            return Ok(shown(&before, &event.id, &entry, &ignored));
        };
        set.change_part(&branch, &after.record()?, before.version);
        set.touch_event(&caller.tenant, &event.id, Basis::EventAlone);
        let (was, is) = (before.shown(&event.id), after.shown(&event.id));
        note(app, &mut set, caller, Act::changed("application.update", id, &was, &is), now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(shown(&after, &event.id, &entry, &ignored)),
            // Somebody decided first, or related the pair first: look again.
            Err(Error::Missed(_) | Error::Exists { .. }) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What an organiser says to an application.
fn step(before: &Application, body: Value) -> Result<(Application, Vec<String>), Problem> {
    let mut form = forms::form(body)?;
    forms::check_change(&form)?;
    let mut after = before.clone();
    let given = word(Stage::GIVEN, Stage::as_str);
    let is_read = form.require("status", Presence::Known, &mut after.status, given);
    let has_reason = form.has("rejectionReason");
    form.change("rejectionReason", &mut after.rejection_reason, text(MESSAGE_CHARS_MAX));
    if is_read && has_reason && after.status != Stage::Rejected {
        form.refuse("rejectionReason", "is for rejected applications");
    }
    let ignored = forms::finish(form)?;
    before.status.go(after.status).map_err(|illegal| Problem::bad_request(illegal.to_string()))?;
    Ok((after, ignored))
}

/// Makes the relation of the pair what the decision makes of it, and answers which it is.
async fn settle(
    scene: &Scene<'_>,
    set: &mut WriteSet,
    application: &Hung<Application>,
    outcome: Outcome,
    entry: &EntryRecord,
) -> Result<RelationId, Problem> {
    let Scene { app, side, now, .. } = *scene;
    if outcome == Outcome::Accepted && !relations::is_visible(scene.caller, entry) {
        let words = format!("This {} is not in the directory any more", side.as_str());
        return Err(Problem::bad_request(words));
    }
    let before =
        app.store.part_of(&scene.branch(), &entry.id).await?.map(Hung::<Relation>::of).transpose()?;
    let stands = before.as_ref().map(|before| (before.body.status, before.body.status_changed_at));
    let Some(standing) = outcome.on(stands, application.created_at) else {
        return before.map(|before| before.id).ok_or_else(|| Problem::not_found("Relation"));
    };
    let after = if let Some(before) = &before {
        let relation = agreed(before.body.clone(), application, standing, now);
        before.changed(relation, now).unwrap_or_else(|| before.clone())
    } else {
        let relation = Relation::to(side, entry.id.clone(), Standing::Inquiry, now);
        let id = RelationId::mint(now, app.chance.as_ref());
        Hung::new(id, agreed(relation, application, standing, now), now)
    };
    let cause = Some(&application.id);
    Ok(relations::write(scene, set, before.as_ref(), after, entry, cause).await?.id)
}

/// A relation that is what was decided, about what was proposed where nothing else was said.
fn agreed(
    mut relation: Relation,
    application: &Hung<Application>,
    standing: Standing,
    now: Millis,
) -> Relation {
    let proposed = &application.body;
    match proposed.applicant_type {
        Side::Vendor => relation.proposed_budget = relation.proposed_budget.or(proposed.proposed_budget),
        Side::Sponsor => {
            relation.amount = relation.amount.or(proposed.proposed_budget);
            relation.tier = relation.tier.or_else(|| proposed.proposed_tier.clone());
        }
    }
    // Who was declined before asks anew.
    if relation.status == Standing::Declined {
        relation.stand(Standing::Inquiry, now);
    }
    relation.stand(standing, now);
    relation.application_id = Some(application.id.clone());
    relation
}
