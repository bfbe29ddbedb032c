//! People's accounts, as admins of the instance keep them.
//!
//! Invariant: an admin who may sign in stays, and so does an owner of every project that has one. A new password and
//! a disabled account end the sessions in the same commit; no answer and no log holds a password or its hash.
//! Not here: signing in (`sessions`), who belongs to which project (`projects`).

use crate::app::audit::{self, Act};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::forms;
use crate::face::caller::Caller;
use crate::face::etag::{self, IfMatch};
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::account::{Email, check_password};
use openevent_domain::ambient::Millis;
use openevent_domain::id::UserId;
use openevent_domain::planning::form::{Form, Presence, flag};
use openevent_domain::role::Role;
use openevent_store::members::Membership;
use openevent_store::place::Place;
use openevent_store::users::UserRecord;
use openevent_store::{Error, Store, WriteSet};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

/// What somebody is in the whole instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An admin.
    Admin,
    /// What their memberships say.
    Member,
}

/// An account as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    #[serde(rename = "_id")]
    underscore_id: String,
    id: String,
    email: String,
    is_admin: bool,
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Millis>,
    created_at: Millis,
    updated_at: Millis,
}

/// An account as it is shown.
pub fn shown(user: &UserRecord) -> UserView {
    UserView {
        underscore_id: user.id.to_string(),
        id: user.id.to_string(),
        email: user.email.to_string(),
        is_admin: user.is_admin,
        disabled: user.disabled_at.is_some(),
        disabled_at: user.disabled_at,
        created_at: user.created_at,
        updated_at: user.updated_at,
    }
}

/// A new account.
pub fn new(app: &App, email: Email, password_hash: String, standing: Standing, now: Millis) -> UserRecord {
    UserRecord {
        id: UserId::mint(now, app.chance.as_ref()),
        email,
        password_hash,
        is_admin: standing == Standing::Admin,
        disabled_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn tag(user: &UserRecord) -> String {
    etag::of_bytes(format!("{} {}", user.id, user.version).as_bytes())
}

/// A page of all accounts, newest first.
pub async fn list(app: &App, list: &List) -> Result<Reply, Problem> {
    let place = match list.after::<String>()? {
        Some(id) => Place::After(id),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.users(&place, list.limit + 1).await?;
    let total = app.store.users_count().await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.id));
    let views: Vec<_> = rows.iter().map(shown).collect();
    Ok(list.reply(&views, &meta))
}

/// An account as it is stored.
pub async fn find(app: &App, id: &str) -> Result<UserRecord, Problem> {
    let missing = || Problem::not_found("User");
    let id = UserId::parse(id).ok_or_else(missing)?;
    app.store.user(&id).await?.ok_or_else(missing)
}

/// One account.
pub fn get(user: &UserRecord) -> Reply {
    Reply::ok(&shown(user)).tagged_as(tag(user))
}

/// What a body says of an account.
#[derive(Clone, Debug)]
struct Draft {
    email: Option<Email>,
    password: Option<SecretString>,
    is_admin: bool,
    disabled: bool,
    ignored: Vec<String>,
}

fn read(form: &mut Form, presence: Presence, known: Option<&UserRecord>) -> Draft {
    let (mut email, mut password) = (None, None);
    form.require("email", presence, &mut email, |value| {
        Email::parse(value.as_str().ok_or("must be a text")?).map(|email| Some(Some(email)))
    });
    form.require("password", presence, &mut password, |value| {
        let text = value.as_str().ok_or("must be a text")?;
        check_password(text).map(|()| Some(Some(SecretString::from(text))))
    });
    let mut is_admin = known.is_some_and(|user| user.is_admin);
    let mut disabled = known.is_some_and(|user| user.disabled_at.is_some());
    form.set("isAdmin", &mut is_admin, flag);
    if presence == Presence::Known {
        form.set("disabled", &mut disabled, flag);
    }
    Draft { email, password, is_admin, disabled, ignored: Vec::new() }
}

/// Makes an account.
pub async fn create(
    app: &App,
    caller: &Caller,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body)?;
    let draft = read(&mut form, Presence::New, None);
    let ignored = forms::finish(form)?;
    let (Some(email), Some(password)) = (draft.email, draft.password) else {
        return Err(Problem::bad_request("A user has an e-mail address and a password"));
    };
    if app.store.user_by_email(&email.key()).await?.is_some() {
        return Err(taken());
    }
    let password_hash = app.passwords.hash(password, app.chance.as_ref()).await?;
    let standing = if draft.is_admin { Standing::Admin } else { Standing::Member };
    let user = new(app, email, password_hash, standing, now);
    let mut set = WriteSet::new();
    set.add_user(&user);
    let act = Act::made("user.create", user.id.as_str(), &shown(&user));
    audit::note_instance(app, &mut set, caller, act, now);
    let meta = forms::ignored(Map::new(), &ignored);
    let reply = Reply::created(format!("/api/v1/users/{}", user.id), &shown(&user));
    let reply = match ignored.as_slice() {
        [] => reply,
        _ => Reply { location: reply.location, ..Reply::with(reply.status, &shown(&user), Some(&meta)) },
    };
    guard.commit(&app.store, set, reply.tagged_as(tag(&user))).await
}

fn taken() -> Problem {
    Problem::new(Code::Conflict, "There is a user with this e-mail address already")
}

fn last_admin() -> Problem {
    Problem::bad_request("This is the last admin who may sign in; make another one first")
}

/// Changes an account, or does nothing at all.
pub async fn change(
    app: &App,
    caller: &Caller,
    mut user: UserRecord,
    body: Value,
    if_match: &IfMatch,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body.clone())?;
    forms::check_change(&form)?;
    let mut draft = read(&mut form, Presence::Known, Some(&user));
    draft.ignored = forms::finish(form)?;
    let password_hash = match draft.password.take() {
        Some(password) => Some(app.passwords.hash(password, app.chance.as_ref()).await?),
        None => None,
    };
    let mut attempt = 0;
    loop {
        attempt += 1;
        if_match.check(&tag(&user))?;
        let after = decided(&user, &body, &draft, password_hash.as_deref(), now)?;
        let mut set = WriteSet::new();
        if after != user {
            put(&app.store, &mut set, &user, &after).await?;
            let mut act = Act::changed("user.update", user.id.as_str(), &shown(&user), &shown(&after));
            if password_hash.is_some() {
                tell_password(&mut act);
            }
            audit::note_instance(app, &mut set, caller, act, now);
        }
        let reply = match draft.ignored.as_slice() {
            [] => Reply::ok(&shown(&after)),
            names => Reply::ok_with_meta(&shown(&after), &forms::ignored(Map::new(), names)),
        };
        let reply = reply.tagged_as(tag(&after));
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => {
                app.keyring.forget_made_by(&user.id);
                return Ok(reply);
            }
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => user = find(app, user.id.as_str()).await?,
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

/// That there is a new password is told, the password is not.
pub fn tell_password(act: &mut Act<'_>) {
    if let Some(Value::Object(after)) = &mut act.after {
        after.insert("password".to_owned(), "changed".into());
    }
}

/// The account as a body wants it. Read anew, since flags that are not mentioned stay as they are now.
fn decided(
    user: &UserRecord,
    body: &Value,
    draft: &Draft,
    password_hash: Option<&str>,
    now: Millis,
) -> Result<UserRecord, Problem> {
    let again = read(&mut forms::form(body.clone())?, Presence::Known, Some(user));
    let mut after = user.clone();
    if let Some(email) = &draft.email {
        after.email = email.clone();
    }
    if let Some(hash) = password_hash {
        hash.clone_into(&mut after.password_hash);
    }
    after.is_admin = again.is_admin;
    after.disabled_at = again.disabled.then(|| user.disabled_at.unwrap_or(now));
    if after != *user {
        after.version += 1;
        after.updated_at = now.max(user.updated_at);
    }
    Ok(after)
}

/// Puts a changed account into a set, with everything that follows: keys confined, sessions ended.
pub async fn put(
    store: &Store,
    set: &mut WriteSet,
    user: &UserRecord,
    after: &UserRecord,
) -> Result<(), Problem> {
    let is_in = |user: &UserRecord| user.is_admin && user.disabled_at.is_none();
    let steps_down = is_in(user) && !is_in(after);
    if steps_down {
        if !store.has_admin_beside(&user.id).await? {
            return Err(last_admin());
        }
        set.take_turn_at_admins();
    }
    set.change_user(after, user.version);
    if steps_down {
        set.confine_keys(&user.id);
        set.keep_an_admin();
    }
    if after.disabled_at.is_some() || after.password_hash != user.password_hash {
        set.end_sessions(&user.id);
    }
    Ok(())
}

/// Removes an account, with its sessions and memberships. What they made stays.
pub async fn delete(
    app: &App,
    caller: &Caller,
    mut user: UserRecord,
    if_match: &IfMatch,
    now: Millis,
) -> Result<(), Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        if_match.check(&tag(&user))?;
        let mut set = WriteSet::new();
        take_away(&app.store, &mut set, &user).await?;
        let act = Act::gone("user.delete", user.id.as_str(), &shown(&user));
        audit::note_instance(app, &mut set, caller, act, now);
        match app.store.submit(set).await {
            Ok(()) => {
                app.keyring.forget_made_by(&user.id);
                return Ok(());
            }
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => user = find(app, user.id.as_str()).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts the removal of an account into a set, with everything that follows.
pub async fn take_away(store: &Store, set: &mut WriteSet, user: &UserRecord) -> Result<(), Problem> {
    let is_in = user.is_admin && user.disabled_at.is_none();
    if is_in && !store.has_admin_beside(&user.id).await? {
        return Err(last_admin());
    }
    let owned: Vec<Membership> = store.memberships(&user.id).await?;
    let owned: Vec<_> = owned.into_iter().filter(|one| one.role == Role::Owner).collect();
    for membership in &owned {
        let members = store.members(&membership.project.id).await?;
        if !members.iter().any(|one| one.role == Role::Owner && one.user_id != user.id) {
            let words = format!("They are the last owner of the project {}", membership.project.name);
            return Err(Problem::bad_request(words));
        }
    }
    // Turns are taken in one order by everybody.
    if is_in {
        set.take_turn_at_admins();
    }
    for one in &owned {
        set.take_turn_at_owners(&one.project.id);
    }
    set.confine_keys(&user.id);
    set.delete_user(user);
    for one in &owned {
        set.keep_an_owner(&one.project.id);
    }
    if is_in {
        set.keep_an_admin();
    }
    Ok(())
}
