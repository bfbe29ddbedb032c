//! API keys of a project: made, changed, revoked, removed.
//!
//! Invariant: a key's text is in one answer, the one that made it. Nobody gives a key more than they hold: its `*`
//! reaches beyond the project only if its maker's does. A change counts in this process at once.
//! Not here: whether a key is good (the keyring), the command line's keys.

use crate::app::audit::{self, Act as Noted};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::forms;
use crate::face::caller::Caller;
use crate::face::etag::{self, IfMatch};
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::api_key;
use openevent_domain::id::{KeyId, UserId};
use openevent_domain::planning::form::{Form, Presence, text, time, whole, word};
use openevent_domain::rate::DEFAULT_PER_HOUR;
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_store::keys::{KeyFilter, KeyRecord, KeyState};
use openevent_store::place::Place;
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value};

/// The longest name.
const NAME_CHARS_MAX: usize = 100;
/// Scopes of one key at most.
const SCOPES_MAX: usize = 100;

/// A key as lists show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    prefix: &'a str,
    scopes: &'a [String],
    environment: &'a str,
    status: &'a str,
    instance_admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    created_at: Millis,
}

impl<'a> Shown<'a> {
    fn of(record: &'a KeyRecord, now: Millis) -> Self {
        Self {
            underscore_id: record.id.as_str(),
            id: record.id.as_str(),
            name: &record.name,
            key: None,
            prefix: &record.key_prefix,
            scopes: record.scopes.words(),
            environment: record.tenant.environment().as_str(),
            status: record.state(now).as_str(),
            instance_admin: record.is_instance && record.scopes.grant("*"),
            rate_limit: record.rate_limit,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
            last_used_at: record.last_used_at,
            created_by: record.created_by.as_ref().map(UserId::as_str),
            created_at: record.created_at,
        }
    }
}

/// Names the state a key is in, its last use left out: that changes all the time.
fn tag(record: &KeyRecord) -> String {
    etag::of_bytes(format!("{} {}", record.id, record.version).as_bytes())
}

fn single(record: &KeyRecord, now: Millis) -> Reply {
    Reply::ok(&Shown::of(record, now)).tagged_as(tag(record))
}

/// The environment whose keys a caller sees; `None` is both.
fn horizon(caller: &Caller) -> Option<Tenant> {
    (caller.tenant.environment() == Environment::Test).then(|| caller.tenant.clone())
}

/// A page of the project's keys, newest first.
pub async fn list(app: &App, caller: &Caller, list: &List, now: Millis) -> Result<Reply, Problem> {
    let params = &list.params;
    let wanted = params.one_of("environment", &Environment::ALL.map(|one| (one.as_str(), one)))?;
    let state = params.one_of("status", &KeyState::ALL.map(|one| (one.as_str(), one)))?;
    let wanted = wanted.map(|environment| Tenant::of(&caller.project_id, environment));
    let seen = horizon(caller);
    if wanted.is_some() && seen.is_some() && wanted != seen {
        return list.slice::<Value, i64>(&[], |_| 0);
    }
    let filter = KeyFilter { tenant: wanted.or(seen), state: state.map(|state| (state, now)) };
    let place = match list.after::<String>()? {
        Some(id) => Place::After(id),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.project_keys(&caller.project_id, &filter, &place, list.limit + 1).await?;
    let total = app.store.project_keys_count(&caller.project_id, &filter).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.id));
    let shown: Vec<_> = rows.iter().map(|row| Shown::of(row, now)).collect();
    Ok(list.reply(&shown, &meta))
}

/// A key the caller sees.
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<KeyRecord, Problem> {
    let missing = || Problem::not_found("API key");
    let id = KeyId::parse(id).ok_or_else(missing)?;
    let found = app.store.project_key(&caller.project_id, &id).await?;
    let is_seen = |key: &KeyRecord| horizon(caller).is_none_or(|tenant| key.tenant == tenant);
    found.filter(is_seen).ok_or_else(missing)
}

/// One key.
pub fn get(record: &KeyRecord, now: Millis) -> Reply {
    single(record, now)
}

/// Makes a key. Its text is in this answer and nowhere else.
pub async fn create(
    app: &App,
    caller: &Caller,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body)?;
    let environment = environment(&mut form, caller);
    let text = api_key::mint(environment, app.chance.as_ref());
    let mut record = KeyRecord {
        id: KeyId::mint(now, app.chance.as_ref()),
        tenant: Tenant::of(&caller.project_id, environment),
        project_id: caller.project_id.clone(),
        name: String::new(),
        key_hash: api_key::hash(&text),
        key_prefix: api_key::shown_prefix(&text),
        scopes: Scopes::trusted(Vec::new()),
        rate_limit: None,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        created_at: now,
        is_instance: caller.is_admin(),
        created_by: caller.credential.user().cloned(),
        version: 1,
    };
    read(&mut form, &mut record, Presence::New, caller, now);
    let ignored = forms::finish(form)?;
    let shown = Shown { key: Some(&text), ..Shown::of(&record, now) };
    let reply = Reply::created(format!("/api/v1/api-keys/{}", record.id), &shown);
    let reply = with_ignored(reply, &shown, &ignored).with_secret("key").tagged_as(tag(&record));
    let mut set = WriteSet::new();
    set.add_key(&record);
    let made = Noted::made("key.create", record.id.as_str(), &Shown::of(&record, now));
    audit::note(app, &mut set, caller, made, now);
    guard.commit(&app.store, set, reply).await
}

fn with_ignored(reply: Reply, shown: &Shown<'_>, ignored: &[String]) -> Reply {
    if ignored.is_empty() {
        return reply;
    }
    let meta = forms::ignored(Map::new(), ignored);
    Reply { location: reply.location, ..Reply::with(reply.status, shown, Some(&meta)) }
}

fn environment(form: &mut Form, caller: &Caller) -> Environment {
    let own = caller.tenant.environment();
    let wanted = form.take("environment", word(Environment::ALL, Environment::as_str)).unwrap_or(own);
    if own == Environment::Test && wanted == Environment::Live {
        form.refuse("environment", "must be test: a test credential makes test keys only");
    }
    wanted
}

/// Reads what may be said of a key.
fn read(form: &mut Form, record: &mut KeyRecord, presence: Presence, caller: &Caller, now: Millis) {
    form.require("name", presence, &mut record.name, text(NAME_CHARS_MAX));
    if record.name.chars().any(char::is_control) {
        form.refuse("name", "must not contain control characters");
    }
    let before = record.expires_at;
    form.change("expiresAt", &mut record.expires_at, time);
    if record.expires_at != before && record.expires_at.is_some_and(|at| at <= now) {
        form.refuse("expiresAt", "must be in the future");
    }
    let before = record.rate_limit;
    form.change("rateLimit", &mut record.rate_limit, |value| {
        Ok(whole(1, i64::from(u32::MAX))(value)?.and_then(|calls| u32::try_from(calls).ok()))
    });
    let is_raised = record.rate_limit.is_some_and(|calls| calls > before.unwrap_or(0).max(DEFAULT_PER_HOUR));
    if is_raised && !caller.is_admin() {
        let issue = format!("must be at most {DEFAULT_PER_HOUR}; admins of the instance give more");
        form.refuse("rateLimit", issue);
    }
    let mut words = None;
    let read = |value: Value| if value.is_null() { Ok(None) } else { Ok(Some(Some(value))) };
    form.require("scopes", presence, &mut words, read);
    if let Some(scopes) = words.and_then(|words| scopes(form, &words))
        && scopes != record.scopes
    {
        record.scopes = scopes;
        record.is_instance &= caller.is_admin();
    }
}

/// The scopes a body names; every unknown one is refused at its place.
fn scopes(form: &mut Form, value: &Value) -> Option<Scopes> {
    let words: Option<Vec<&str>> =
        value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    let Some(words) = words.filter(|words| (1..=SCOPES_MAX).contains(&words.len())) else {
        form.refuse("scopes", format!("must be a list of 1 to {SCOPES_MAX} scopes"));
        return None;
    };
    for (index, word) in words.iter().enumerate() {
        if let Err(unknown) = Scopes::parse([*word]) {
            form.refuse(&format!("scopes.{index}"), unknown.to_string());
        }
    }
    Scopes::parse(words).ok()
}

/// What is done to a key that is there.
#[derive(Clone, Debug)]
pub enum Act {
    /// Changes what the body says.
    Change(Value),
    /// Refuses it from now on.
    Revoke,
}

impl Act {
    fn name(&self) -> &'static str {
        match self {
            Self::Change(_) => "key.update",
            Self::Revoke => "key.revoke",
        }
    }
}

/// Changes a key, or does nothing at all.
pub async fn act(
    app: &App,
    caller: &Caller,
    mut record: KeyRecord,
    act: Act,
    if_match: &IfMatch,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        if_match.check(&tag(&record))?;
        let (after, ignored) = decide(&record, caller, act.clone(), now)?;
        let mut set = WriteSet::new();
        if after != record {
            set.change_key(&after, record.version);
            let (name, states) = (act.name(), (Shown::of(&record, now), Shown::of(&after, now)));
            let changed = Noted::changed(name, record.id.as_str(), &states.0, &states.1);
            audit::note(app, &mut set, caller, changed, now);
        }
        let reply = with_ignored(single(&after, now), &Shown::of(&after, now), &ignored);
        let reply = reply.tagged_as(tag(&after));
        guard.remember(&mut set, &reply);
        match app.store.submit(set).await {
            Ok(()) => {
                app.keyring.forget(&after.id);
                return Ok(reply);
            }
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                record = find(app, caller, record.id.as_str()).await?;
            }
            Err(error) => return guard.settle(&app.store, error).await,
        }
    }
}

fn decide(
    record: &KeyRecord,
    caller: &Caller,
    act: Act,
    now: Millis,
) -> Result<(KeyRecord, Vec<String>), Problem> {
    let mut after = record.clone();
    let ignored = match act {
        Act::Change(body) => {
            let mut form = forms::form(body)?;
            forms::check_change(&form)?;
            read(&mut form, &mut after, Presence::Known, caller, now);
            forms::finish(form)?
        }
        Act::Revoke => {
            after.revoked_at = after.revoked_at.or(Some(now));
            Vec::new()
        }
    };
    if after != *record {
        after.version += 1;
    }
    Ok((after, ignored))
}

/// Removes a key and all memory of it.
pub async fn delete(
    app: &App,
    caller: &Caller,
    mut record: KeyRecord,
    if_match: &IfMatch,
    now: Millis,
) -> Result<(), Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        if_match.check(&tag(&record))?;
        let mut set = WriteSet::new();
        set.delete_key(&record);
        let gone = Noted::gone("key.delete", record.id.as_str(), &Shown::of(&record, now));
        audit::note(app, &mut set, caller, gone, now);
        match app.store.submit(set).await {
            Ok(()) => {
                app.keyring.forget(&record.id);
                return Ok(());
            }
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {
                record = find(app, caller, record.id.as_str()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
