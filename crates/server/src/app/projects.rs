//! Projects and their members.
//!
//! Invariant: a project that has an owner keeps one. Who belongs to a project sees it; for everybody else but admins
//! it is not there.
//! Not here: what a role may do (the domain), accounts (`users`).

use crate::app::audit::{self, Act};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::{forms, sessions};
use crate::face::caller::{Caller, Credential};
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::account::key_of;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{ProjectId, UserId};
use openevent_domain::planning::form::{Presence, text, word};
use openevent_domain::role::Role;
use openevent_domain::tenant::{Environment, PROJECT_NAME_CHARS_MAX, Tenant, is_project_name};
use openevent_store::keys::Project;
use openevent_store::members::{MEMBERS_MAX, Member};
use openevent_store::place::Place;
use openevent_store::users::UserRecord;
use openevent_store::{Error, Store, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value};

/// A project as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectView {
    #[serde(rename = "_id")]
    underscore_id: String,
    id: String,
    /// Its name.
    pub name: String,
    /// What the caller is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    created_at: Millis,
}

fn shown(project: &Project, role: Option<Role>) -> ProjectView {
    ProjectView {
        underscore_id: project.id.to_string(),
        id: project.id.to_string(),
        name: project.name.clone(),
        role,
        created_at: project.created_at,
    }
}

/// A member as they are shown: by the id of their account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberView {
    #[serde(rename = "_id")]
    underscore_id: String,
    id: String,
    user_id: String,
    email: String,
    role: Role,
    disabled: bool,
    created_at: Millis,
    updated_at: Millis,
}

fn member_view(member: &Member) -> MemberView {
    MemberView {
        underscore_id: member.user_id.to_string(),
        id: member.user_id.to_string(),
        user_id: member.user_id.to_string(),
        email: member.email.clone(),
        role: member.role,
        disabled: member.disabled_at.is_some(),
        created_at: member.created_at,
        updated_at: member.updated_at,
    }
}

fn tag(member: &Member) -> String {
    Reply::ok(&member_view(member)).tagged().etag.unwrap_or_default()
}

/// The projects a caller may act in, as far as they are people; a key has the one.
pub async fn of(app: &App, caller: &Caller) -> Result<Vec<ProjectView>, Problem> {
    if let Credential::User { id, .. } = &caller.credential {
        let memberships = app.store.memberships(id).await?;
        return Ok(memberships.iter().map(|one| shown(&one.project, Some(one.role))).collect());
    }
    let own = app.store.project_by_id(&caller.project_id).await?;
    Ok(own.iter().map(|project| shown(project, None)).collect())
}

/// A page of projects: all for admins, theirs for everybody else.
pub async fn list(app: &App, caller: &Caller, list: &List) -> Result<Reply, Problem> {
    if !caller.is_admin() {
        return list.slice(&of(app, caller).await?, |view| view.id.clone());
    }
    let place = match list.after::<String>()? {
        Some(id) => Place::After(id),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.projects(&place, list.limit + 1).await?;
    let total = app.store.projects_count().await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.id));
    let own = of(app, caller).await?;
    let role = |project: &Project| own.iter().find(|view| view.id == project.id.as_str())?.role;
    let views: Vec<_> = rows.iter().map(|row| shown(row, role(row))).collect();
    Ok(list.reply(&views, &meta))
}

/// Makes a project; a person who makes one owns it.
pub async fn create(
    app: &App,
    caller: &Caller,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body)?;
    let mut name = String::new();
    let is_read = form.require("name", Presence::New, &mut name, text(PROJECT_NAME_CHARS_MAX));
    if is_read && !is_project_name(&name) {
        form.refuse("name", "must have visible characters only");
    } else if ProjectId::parse(&name).is_some() {
        form.refuse("name", "must not look like a project's id");
    }
    let ignored = forms::finish(form)?;
    if !name.is_empty() && app.store.project(&name).await?.is_some() {
        return Err(Problem::new(Code::Conflict, "There is a project with this name already"));
    }
    let project = Project { id: ProjectId::mint(now, app.chance.as_ref()), name, created_at: now };
    let mut set = WriteSet::new();
    set.new_project(&project);
    let owner = caller.credential.user();
    if let Some(owner) = owner {
        set.add_member(&project.id, owner, Role::Owner, now);
    }
    let view = shown(&project, owner.map(|_| Role::Owner));
    let act = Act::made("project.create", project.id.as_str(), &view);
    audit::note_instance(app, &mut set, caller, act, now);
    let location = format!("/api/v1/projects/{}", project.id);
    guard.commit(&app.store, set, with_ignored(Reply::created(location, &view), &view, &ignored)).await
}

fn with_ignored(reply: Reply, view: &impl Serialize, ignored: &[String]) -> Reply {
    if ignored.is_empty() {
        return reply.tagged();
    }
    let meta = forms::ignored(Map::new(), ignored);
    Reply { location: reply.location, ..Reply::with(reply.status, view, Some(&meta)) }.tagged()
}

/// What somebody is to a project that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// They belong to it.
    Membership,
    /// They own it.
    Ownership,
}

/// The project a path names, for somebody who may do this to it. What they do not belong to is not there.
pub async fn open(
    app: &App,
    caller: &Caller,
    name: &str,
    need: Need,
) -> Result<(Project, Option<Role>), Problem> {
    let refuse = |is_enough: bool| if is_enough { Ok(()) } else { Err(Problem::forbidden("*")) };
    if caller.is_admin() {
        let project = sessions::project(app, name).await?;
        let role = match caller.credential.user() {
            Some(user) => app.store.member(&project.id, user).await?.map(|member| member.role),
            None => None,
        };
        return Ok((project, role));
    }
    if let Some(user) = caller.credential.user() {
        let memberships = app.store.memberships(user).await?;
        let is_named = |project: &Project| project.name == name || project.id.as_str() == name;
        let Some(found) = memberships.into_iter().find(|one| is_named(&one.project)) else {
            return Err(Problem::not_found("Project"));
        };
        refuse(need == Need::Membership || found.role == Role::Owner)?;
        return Ok((found.project, Some(found.role)));
    }
    if need == Need::Ownership {
        caller.require("*")?;
    }
    let project = sessions::project(app, name).await?;
    // Members are the live project's: what is for trying out does not reach them.
    let is_reached = need == Need::Membership || caller.tenant.environment() == Environment::Live;
    let is_own = project.id == caller.project_id && is_reached;
    if is_own { Ok((project, None)) } else { Err(Problem::not_found("Project")) }
}

/// One project.
pub async fn get(app: &App, caller: &Caller, name: &str) -> Result<Reply, Problem> {
    let (project, role) = open(app, caller, name, Need::Membership).await?;
    Ok(Reply::ok(&shown(&project, role)).tagged())
}

/// A page of a project's members, those who have their accounts longest first.
pub async fn members(app: &App, project: &Project, list: &List) -> Result<Reply, Problem> {
    let members = app.store.members(&project.id).await?;
    let views: Vec<_> = members.iter().map(member_view).collect();
    list.slice(&views, |view| view.id.clone())
}

/// One member.
pub async fn member(app: &App, project: &Project, id: &str) -> Result<Member, Problem> {
    let missing = || Problem::not_found("Member");
    let id = UserId::parse(id).ok_or_else(missing)?;
    app.store.member(&project.id, &id).await?.ok_or_else(missing)
}

/// One member, shown.
pub async fn get_member(app: &App, project: &Project, id: &str) -> Result<Reply, Problem> {
    Ok(Reply::ok(&member_view(&member(app, project, id).await?)).tagged())
}

/// Makes somebody a member.
pub async fn add(
    app: &App,
    caller: &Caller,
    project: &Project,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body)?;
    let (mut email, mut role) = (String::new(), None);
    let is_read = form.require("email", Presence::New, &mut email, text(1_000));
    form.require("role", Presence::New, &mut role, |value| word(Role::ALL, Role::as_str)(value).map(Some));
    let user = if is_read { app.store.user_by_email(&key_of(&email)).await? } else { None };
    if is_read && user.is_none() {
        form.refuse("email", "there is no user with this address; an admin of the instance makes one");
    }
    let ignored = forms::finish(form)?;
    let (Some(user), Some(role)) = (user, role) else { return Err(Problem::not_found("User")) };
    let members = app.store.members(&project.id).await?;
    if members.iter().any(|one| one.user_id == user.id) || members.len() as i64 >= MEMBERS_MAX {
        return Err(Problem::new(Code::Conflict, "They are a member already"));
    }
    let member = new_member(&user, role, now);
    let mut set = WriteSet::new();
    set.add_member(&project.id, &user.id, role, now);
    let view = member_view(&member);
    note(app, &mut set, caller, project, Act::made("member.add", user.id.as_str(), &view), now);
    let location = format!("/api/v1/projects/{}/members/{}", project.id, user.id);
    guard.commit(&app.store, set, with_ignored(Reply::created(location, &view), &view, &ignored)).await
}

fn new_member(user: &UserRecord, role: Role, now: Millis) -> Member {
    Member {
        user_id: user.id.clone(),
        email: user.email.to_string(),
        disabled_at: user.disabled_at,
        role,
        created_at: now,
        updated_at: now,
    }
}

/// What is done to members is told to the project's own log.
fn note(app: &App, set: &mut WriteSet, caller: &Caller, project: &Project, act: Act<'_>, now: Millis) {
    let mut row = audit::told(app, caller, act, now);
    row.tenant = Tenant::of(&project.id, Environment::Live);
    set.add_audit(&row);
}

/// Somebody's place in a project, as a path names it.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// The project.
    pub project: &'a Project,
    /// The id of their account.
    pub user: &'a str,
}

/// Gives a member another role.
pub async fn change(
    app: &App,
    caller: &Caller,
    Seat { project, user: id }: Seat<'_>,
    body: Value,
    if_match: &IfMatch,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = member(app, project, id).await?;
        if_match.check(&tag(&before))?;
        let mut form = forms::form(body.clone())?;
        forms::check_change(&form)?;
        let mut role = before.role;
        form.require("role", Presence::Known, &mut role, word(Role::ALL, Role::as_str));
        let ignored = forms::finish(form)?;
        let after = Member { role, updated_at: now.max(before.updated_at + 1), ..before.clone() };
        let after = if role == before.role { before.clone() } else { after };
        let mut set = WriteSet::new();
        if after != before {
            put_role(&app.store, &mut set, project, &before, role, now).await?;
            let (was, is) = (member_view(&before), member_view(&after));
            note(app, &mut set, caller, project, Act::changed("member.update", id, &was, &is), now);
        }
        let view = member_view(&after);
        let reply = with_ignored(Reply::ok(&view), &view, &ignored);
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => return Ok(reply),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

/// Ends a membership.
pub async fn remove(
    app: &App,
    caller: &Caller,
    Seat { project, user: id }: Seat<'_>,
    if_match: &IfMatch,
    now: Millis,
) -> Result<(), Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = member(app, project, id).await?;
        if_match.check(&tag(&before))?;
        let mut set = WriteSet::new();
        take_out(&app.store, &mut set, project, &before).await?;
        note(app, &mut set, caller, project, Act::gone("member.remove", id, &member_view(&before)), now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(()),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts another role of a member into a set. The last owner stays one.
pub async fn put_role(
    store: &Store,
    set: &mut WriteSet,
    project: &Project,
    member: &Member,
    role: Role,
    now: Millis,
) -> Result<(), Problem> {
    let stake = stake(store, project, member).await?;
    stake.take_turn(set, project);
    set.change_member(&project.id, member, role, now);
    stake.keep(set, project);
    Ok(())
}

/// Puts the end of a membership into a set. The last owner stays.
pub async fn take_out(
    store: &Store,
    set: &mut WriteSet,
    project: &Project,
    member: &Member,
) -> Result<(), Problem> {
    let stake = stake(store, project, member).await?;
    stake.take_turn(set, project);
    set.remove_member(&project.id, member);
    stake.keep(set, project);
    Ok(())
}

/// Whether one owner less is at stake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stake {
    Owner,
    Nothing,
}

async fn stake(store: &Store, project: &Project, member: &Member) -> Result<Stake, Problem> {
    if member.role != Role::Owner {
        return Ok(Stake::Nothing);
    }
    let members = store.members(&project.id).await?;
    if members.iter().any(|one| one.role == Role::Owner && one.user_id != member.user_id) {
        return Ok(Stake::Owner);
    }
    Err(Problem::bad_request("They are the last owner of the project; make another one first"))
}

impl Stake {
    fn take_turn(self, set: &mut WriteSet, project: &Project) {
        if self == Self::Owner {
            set.take_turn_at_owners(&project.id);
        }
    }

    fn keep(self, set: &mut WriteSet, project: &Project) {
        if self == Self::Owner {
            set.keep_an_owner(&project.id);
        }
    }
}
