//! Signing in and out, and what a session may do.
//!
//! Invariant: a token is new at every sign-in and only its hash is stored. A wrong password and an address nobody has
//! are refused with the same words after the same work. A session is looked up for every request, so ending it counts
//! at once on every node.
//! Not here: the cookie (`face::session`), hashing (`passwords`), making accounts (`users`).

use crate::app::audit::{self, Act, Who};
use crate::face::caller::{Caller, Credential, Identity, Origin};
use crate::face::list::List;
use crate::face::problem::{Code, Problem};
use crate::face::rates::Subject;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::account::{check_password, key_of, mint_token, token_hash};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{ProjectId, SessionId, UserId};
use openevent_domain::rate::{Limit, MINUTE_MS};
use openevent_domain::role::Role;
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::{DEFAULT_PROJECT, Environment, Tenant};
use openevent_store::audit::instance;
use openevent_store::keys::Project;
use openevent_store::sessions::SessionRecord;
use openevent_store::users::UserRecord;
use openevent_store::{Error, Store, WriteSet};
use secrecy::SecretString;
use serde::Serialize;
use std::cmp::Reverse;
use std::net::IpAddr;

/// Wrong passwords an account takes in [`TRIES_WINDOW_MS`].
pub const TRIES_PER_ACCOUNT: u32 = 10;
/// Wrong passwords an address may send in the same time.
pub const TRIES_PER_ADDRESS: u32 = 50;
/// A quarter of the clock hour.
const TRIES_WINDOW_MS: i64 = 15 * MINUTE_MS;
/// How stale the stored time of somebody's last request may get.
const TOUCH_EVERY_MS: i64 = MINUTE_MS;
/// Characters that are kept of what a browser calls itself.
const AGENT_CHARS_MAX: usize = 200;

/// The browser somebody comes with.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// What it calls itself.
    pub agent: String,
    /// The request.
    pub origin: Origin,
    /// The address tries are counted by.
    pub class: IpAddr,
    /// The token its cookie holds already.
    pub token: Option<String>,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: UserRecord,
    /// In which session.
    pub session: SessionRecord,
}

/// A new session: its token goes into the cookie and nowhere else.
pub struct Fresh {
    /// The token.
    pub token: String,
    /// What is stored of it.
    pub session: SessionRecord,
}

impl Fresh {
    /// A session that begins now.
    pub fn begin(app: &App, user: &UserId, visitor: &Visitor, now: Millis) -> Self {
        let token = mint_token(app.chance.as_ref());
        let address = visitor.origin.address.map(|address| address.to_string()).unwrap_or_default();
        let agent = visitor.agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect();
        let session = SessionRecord {
            id: SessionId::mint(now, app.chance.as_ref()),
            user_id: user.clone(),
            token_hash: token_hash(&token),
            agent,
            address,
            created_at: now,
            seen_at: now,
        };
        Self { token, session }
    }

    /// Puts it into a set.
    pub fn add(&self, app: &App, set: &mut WriteSet, now: Millis) {
        let settings = &app.settings;
        set.add_session(&self.session, now - settings.session_ms_max, now - settings.session_idle_ms_max);
    }
}

/// Signs somebody in. What they were signed in as in this browser before ends.
pub async fn sign_in(
    app: &App,
    email: &str,
    password: SecretString,
    visitor: &Visitor,
    now: Millis,
) -> Result<Fresh, Problem> {
    let tries = Tries::count(app, email, visitor.class, now).await?;
    let found = app.store.user_by_email(&key_of(email)).await?;
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let is_right = app.passwords.verify(password, hash).await?;
    let user = found.filter(|user| is_right && user.disabled_at.is_none()).ok_or_else(wrong)?;
    tries.forgive(app);
    let fresh = Fresh::begin(app, &user.id, visitor, now);
    let mut set = WriteSet::new();
    if let Some(before) = find(app, visitor.token.as_deref(), now).await? {
        set.end_session_if_any(&before.user.id, &before.session.id);
    }
    fresh.add(app, &mut set, now);
    let who = who(&user, &visitor.origin);
    let act = Act::done("session.create", fresh.session.id.as_str());
    set.add_audit(&audit::row(app.chance.as_ref(), instance(), &who, act, now));
    app.store.submit(set).await?;
    Ok(fresh)
}

/// A person, for the audit log.
pub fn who<'a>(user: &'a UserRecord, origin: &'a Origin) -> Who<'a> {
    Who { kind: "user", id: user.id.as_str(), name: Some(user.email.as_str()), origin: Some(origin) }
}

fn wrong() -> Problem {
    Problem::new(Code::Unauthorized, "E-mail address or password is wrong")
}

/// A try, counted before it is made, so that many at once do not get through together.
struct Tries([Subject; 2]);

impl Tries {
    async fn count(app: &App, email: &str, class: IpAddr, now: Millis) -> Result<Self, Problem> {
        let limits = [TRIES_PER_ACCOUNT, TRIES_PER_ADDRESS];
        let subjects = [Subject::Account(token_hash(&key_of(email))), Subject::SignIn(class)];
        for (subject, calls) in subjects.iter().zip(limits) {
            let limit = Limit { calls, window_ms: TRIES_WINDOW_MS };
            let verdict = app.rates.hit(&app.rates.meter(subject), limit, now).await;
            if !verdict.admitted {
                return Err(Problem::rate_limited(verdict.retry_after_s(now)));
            }
        }
        Ok(Self(subjects))
    }

    /// It was no guess.
    fn forgive(&self, app: &App) {
        for subject in &self.0 {
            app.rates.give_back(&app.rates.meter(subject));
        }
    }
}

/// Who a token belongs to, if it is good.
pub async fn find(app: &App, token: Option<&str>, now: Millis) -> Result<Option<SignedIn>, Error> {
    let Some(token) = token else { return Ok(None) };
    let Some((session, user)) = app.store.session_by_hash(&token_hash(token)).await? else { return Ok(None) };
    let settings = &app.settings;
    let is_over = now - session.created_at >= settings.session_ms_max
        || now - session.seen_at >= settings.session_idle_ms_max;
    if is_over || user.disabled_at.is_some() {
        return Ok(None);
    }
    if now - session.seen_at >= TOUCH_EVERY_MS {
        touch(&app.store, &session.id, now).await;
    }
    Ok(Some(SignedIn { user, session }))
}

async fn touch(store: &Store, id: &SessionId, now: Millis) {
    let mut set = WriteSet::new();
    set.touch_session(id, now);
    if let Err(cause) = store.submit(set).await {
        tracing::debug!(cause = %cause, "when somebody was last seen could not be written");
    }
}

/// What a person asks to act in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// A project, by its name or id; without it the first they belong to.
    pub project: Option<&'a str>,
    /// `live`, unless it is `test`.
    pub environment: Option<&'a str>,
}

/// Somebody in a project, with what they may do there. Admins own every project.
pub async fn enter(app: &App, person: &SignedIn, choice: Choice<'_>) -> Result<Identity, Problem> {
    let environment = match choice.environment.map(str::trim) {
        None | Some("") => Environment::Live,
        Some(word) => Environment::parse(word)
            .ok_or_else(|| Problem::field("OpenEvent-Environment", "must be live or test"))?,
    };
    let (project_id, scopes) = place(app, &person.user, choice.project).await?;
    Ok(Identity {
        tenant: Tenant::of(&project_id, environment),
        project_id,
        scopes,
        is_instance: person.user.is_admin,
        credential: Credential::User { id: person.user.id.clone(), session: person.session.id.clone() },
        name: Some(person.user.email.to_string()),
    })
}

async fn place(app: &App, user: &UserRecord, wanted: Option<&str>) -> Result<(ProjectId, Scopes), Problem> {
    let memberships = app.store.memberships(&user.id).await?;
    let is_named =
        |project: &Project| wanted.is_none_or(|name| project.name == name || project.id.as_str() == name);
    let found = memberships.into_iter().find(|one| is_named(&one.project));
    match (found, user.is_admin) {
        (Some(found), true) => Ok((found.project.id, Scopes::all())),
        (Some(found), false) => Ok((found.project.id, found.role.scopes())),
        (None, true) => {
            let project = project(app, wanted.unwrap_or(DEFAULT_PROJECT)).await?;
            Ok((project.id, Role::Owner.scopes()))
        }
        (None, false) if wanted.is_some() => Err(Problem::not_found("Project")),
        // Somebody without a project has an empty place of their own, and may do nothing in it.
        (None, false) => Ok((ProjectId::trusted(user.id.to_string()), Scopes::trusted(Vec::new()))),
    }
}

/// The project of a name or id.
pub async fn project(app: &App, name: &str) -> Result<Project, Problem> {
    let found = match ProjectId::parse(name) {
        Some(id) => app.store.project_by_id(&id).await?,
        None => app.store.project(name).await?,
    };
    found.ok_or_else(|| Problem::not_found("Project"))
}

/// Ends the session of somebody who leaves.
pub async fn sign_out(app: &App, person: &SignedIn, origin: &Origin, now: Millis) -> Result<(), Problem> {
    let mut set = WriteSet::new();
    set.end_session_if_any(&person.user.id, &person.session.id);
    let (who, act) = (who(&person.user, origin), Act::done("session.delete", person.session.id.as_str()));
    set.add_audit(&audit::row(app.chance.as_ref(), instance(), &who, act, now));
    Ok(app.store.submit(set).await?)
}

/// Gives somebody another password. All their sessions end; the answer is a new one.
pub async fn change_password(
    app: &App,
    person: &SignedIn,
    current: SecretString,
    new: SecretString,
    visitor: &Visitor,
    now: Millis,
) -> Result<Fresh, Problem> {
    use secrecy::ExposeSecret as _;
    check_password(new.expose_secret()).map_err(|issue| Problem::field("newPassword", issue))?;
    let tries = Tries::count(app, person.user.email.as_str(), visitor.class, now).await?;
    if !app.passwords.verify(current, Some(person.user.password_hash.clone())).await? {
        return Err(Problem::field("currentPassword", "is wrong"));
    }
    tries.forgive(app);
    let password_hash = app.passwords.hash(new, app.chance.as_ref()).await?;
    let before = &person.user;
    let after = UserRecord { password_hash, version: before.version + 1, updated_at: now, ..before.clone() };
    let fresh = Fresh::begin(app, &before.id, visitor, now);
    let mut set = WriteSet::new();
    set.change_user(&after, before.version);
    set.end_sessions(&before.id);
    fresh.add(app, &mut set, now);
    let (who, act) = (who(before, &visitor.origin), Act::done("user.password", before.id.as_str()));
    set.add_audit(&audit::row(app.chance.as_ref(), instance(), &who, act, now));
    app.store.submit(set).await?;
    Ok(fresh)
}

/// A sign-in as its owner sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    #[serde(rename = "_id")]
    underscore_id: String,
    /// Its id.
    pub id: String,
    /// What the browser calls itself.
    pub agent: String,
    /// Where they signed in from.
    pub address: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When they signed in.
    pub created_at: Millis,
    /// When they were last seen.
    pub seen_at: Millis,
    /// When it ends if nobody is seen before.
    pub expires_at: Millis,
}

/// Somebody's sign-ins, newest first.
pub async fn of(app: &App, caller: &Caller, now: Millis) -> Result<Vec<SessionView>, Problem> {
    let Credential::User { id, session } = &caller.credential else { return Ok(Vec::new()) };
    let settings = &app.settings;
    let mut views = Vec::new();
    for record in app.store.sessions(id).await?.into_iter().rev() {
        let idle_end = record.seen_at + settings.session_idle_ms_max;
        let expires_at = idle_end.min(record.created_at + settings.session_ms_max);
        if expires_at > now {
            views.push(SessionView {
                underscore_id: record.id.to_string(),
                id: record.id.to_string(),
                current: record.id == *session,
                agent: record.agent,
                address: record.address,
                created_at: record.created_at,
                seen_at: record.seen_at,
                expires_at,
            });
        }
    }
    Ok(views)
}

/// A page of somebody's own sign-ins.
pub async fn list(app: &App, caller: &Caller, list: &List, now: Millis) -> Result<Reply, Problem> {
    list.slice(&of(app, caller, now).await?, |view| Reverse(view.id.clone()))
}

/// Ends one of the caller's own sign-ins.
pub async fn end(app: &App, caller: &Caller, id: &str, now: Millis) -> Result<(), Problem> {
    let missing = || Problem::not_found("Session");
    let (Some(user), Some(id)) = (caller.credential.user(), SessionId::parse(id)) else {
        return Err(missing());
    };
    let mut set = WriteSet::new();
    set.end_session(user, &id);
    audit::note_instance(app, &mut set, caller, Act::done("session.delete", id.as_str()), now);
    app.store.submit(set).await.map_err(|error| match error {
        Error::Missed(_) => missing(),
        other => other.into(),
    })
}
