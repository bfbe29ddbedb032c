//! Sources: whose webhooks we take in.
//!
//! Invariant: a secret comes in and never goes out again.
//! Not here: what comes in (see `hooks`), reading bodies (see `form`).

mod form;

use crate::app::audit::{self, Act};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::forms;
use crate::app::webhooks::key_problem;
use crate::face::caller::Caller;
use crate::face::etag::{self, IfMatch};
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::{Code, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use form::Filled;
use http::StatusCode;
use openevent_domain::ambient::Millis;
use openevent_domain::id::SourceId;
use openevent_domain::inbound::{Preset, Rule};
use openevent_domain::planning::form::Presence;
use openevent_domain::tenant::Tenant;
use openevent_store::seal::Sealed;
use openevent_store::sources::{Place, SourceRecord, Status, TABLE, secret_owner};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value};

/// What the expressions of a source know by name.
pub const VARIABLES: [&str; 2] = ["headers", "source"];

/// A source as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    name: &'a str,
    preset: &'a str,
    #[serde(flatten)]
    options: &'a Map<String, Value>,
    /// Where its sender posts to.
    path: String,
    has_secret: bool,
    status: &'static str,
    created_at: Millis,
    updated_at: Millis,
}

fn shown(source: &SourceRecord) -> Shown<'_> {
    Shown {
        underscore_id: source.id.as_str(),
        id: source.id.as_str(),
        name: &source.name,
        preset: &source.preset,
        options: &source.options,
        path: format!("/api/v1/hooks/{}", source.id),
        has_secret: source.secrets.is_some(),
        status: source.status.as_str(),
        created_at: source.created_at,
        updated_at: source.updated_at,
    }
}

fn tag(source: &SourceRecord) -> String {
    etag::of_bytes(format!("{} {}", source.id, source.version).as_bytes())
}

/// What kind of sender it is. What is stored was read before it was stored.
pub fn preset(source: &SourceRecord) -> Preset {
    let known = Preset::ALL.into_iter().find(|preset| preset.as_str() == source.preset);
    known.unwrap_or(Preset::Hmac)
}

/// How its sender signs. `None`: not at all.
pub fn rule(source: &SourceRecord) -> Option<Rule> {
    preset(source).rule().or_else(|| form::stored_rule(&source.options))
}

/// What its owner wrote in place of one of the preset's expressions.
pub fn expression<'a>(source: &'a SourceRecord, name: &str) -> Option<&'a str> {
    source.options.get(name).and_then(Value::as_str)
}

/// A page of sources, newest first.
pub async fn list(app: &App, tenant: &Tenant, list: &List) -> Result<Reply, Problem> {
    let place = match list.after::<(Millis, String)>()? {
        Some((at, id)) => Place::After(at, id),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.sources(tenant, &place, list.limit + 1).await?;
    let total = app.store.sources_count(tenant).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&(row.created_at, row.id.as_str())));
    let sources: Vec<_> = rows.iter().map(shown).collect();
    Ok(list.reply(&sources, &meta))
}

/// One source.
pub async fn get(app: &App, tenant: &Tenant, id: &str) -> Result<Reply, Problem> {
    let source = find(app, tenant, id).await?;
    Ok(Reply::ok(&shown(&source)).tagged_as(tag(&source)))
}

/// One source as it is stored.
pub async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<SourceRecord, Problem> {
    let missing = || Problem::not_found("Source");
    let id = SourceId::parse(id).ok_or_else(missing)?;
    app.store.source(tenant, &id).await?.ok_or_else(missing)
}

/// Makes a source.
pub async fn create(
    app: &App,
    caller: &Caller,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::form(body)?;
    let mut filled = Filled::default();
    filled.read(&mut form, Presence::New, false);
    let ignored = forms::finish(form)?;
    let id = SourceId::mint(now, app.chance.as_ref());
    let secrets = sealed(app, &caller.tenant, &id, filled.secrets.as_deref()).await?;
    let source = made(id, &caller.tenant, filled, secrets, now);
    let mut set = WriteSet::new();
    set.add_source(&source);
    let act = Act::made("source.create", source.id.as_str(), &shown(&source));
    audit::note(app, &mut set, caller, act, now);
    let meta = if ignored.is_empty() { None } else { Some(forms::ignored(Map::new(), &ignored)) };
    let reply = Reply {
        location: Some(format!("/api/v1/sources/{}", source.id)),
        ..Reply::with(StatusCode::CREATED, &shown(&source), meta.as_ref())
    };
    guard.remember(&mut set, &reply);
    match app.store.submit(set).await {
        Ok(()) => Ok(reply),
        Err(Error::Exists { table }) if table == TABLE => Err(taken(&source.name)),
        Err(error) => guard.settle(&app.store, error).await,
    }
}

/// Makes or changes the source of this name as a configuration says; does nothing when it is so already. `told` writes
/// it down.
pub async fn configure(
    app: &App,
    tenant: &Tenant,
    body: Value,
    told: impl Fn(&mut WriteSet, Act<'_>),
    now: Millis,
) -> Result<(), Problem> {
    let mut form = forms::form(body)?;
    let mut filled = Filled::default();
    filled.read(&mut form, Presence::New, false);
    forms::finish(form)?;
    let known = app.store.source_named(tenant, &filled.name).await?;
    let id =
        known.as_ref().map_or_else(|| SourceId::mint(now, app.chance.as_ref()), |known| known.id.clone());
    let kept = known.as_ref().and_then(|known| known.secrets.clone()).filter(|sealed| {
        let open = app.webhook_keys.open(&secret_owner(tenant, &id), sealed);
        open.is_ok_and(|list| Some(list) == filled.secrets.as_ref().map(|secrets| listed(secrets)))
    });
    let secrets = match kept {
        Some(kept) => Some(kept),
        None => sealed(app, tenant, &id, filled.secrets.as_deref()).await?,
    };
    let mut set = WriteSet::new();
    if let Some(before) = known {
        let after = changed(&before, filled, secrets, now);
        if after != before {
            set.change_source(&after, before.version);
            told(&mut set, Act::changed("source.update", id.as_str(), &shown(&before), &shown(&after)));
        }
    } else {
        let source = made(id, tenant, filled, secrets, now);
        set.add_source(&source);
        told(&mut set, Act::made("source.create", source.id.as_str(), &shown(&source)));
    }
    match app.store.submit(set).await {
        // Another node that starts at this moment was first.
        Err(Error::Exists { .. } | Error::Missed(_)) => Ok(()),
        done => Ok(done?),
    }
}

fn made(id: SourceId, tenant: &Tenant, filled: Filled, secrets: Option<Sealed>, now: Millis) -> SourceRecord {
    SourceRecord {
        id,
        tenant: tenant.clone(),
        name: filled.name,
        preset: filled.preset.as_str().to_owned(),
        options: filled.options,
        status: filled.status.unwrap_or(Status::Active),
        secrets,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Secrets as they are sealed.
fn listed(secrets: &[String]) -> String {
    serde_json::json!(secrets).to_string()
}

fn taken(name: &str) -> Problem {
    Problem::new(Code::Conflict, format!("There is a source called {name} already"))
}

/// Changes a source, or does nothing at all.
pub async fn change(
    app: &App,
    caller: &Caller,
    id: &str,
    body: Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = find(app, &caller.tenant, id).await?;
        if_match.check(&tag(&before))?;
        let mut form = forms::form(body.clone())?;
        forms::check_change(&form)?;
        let mut filled = Filled::of(&before);
        filled.read(&mut form, Presence::Known, before.secrets.is_some());
        let ignored = forms::finish(form)?;
        let secrets = sealed(app, &caller.tenant, &before.id, filled.secrets.as_deref()).await?;
        let after = changed(&before, filled, secrets, now);
        let mut set = WriteSet::new();
        if after != before {
            set.change_source(&after, before.version);
            let act = Act::changed("source.update", before.id.as_str(), &shown(&before), &shown(&after));
            audit::note(app, &mut set, caller, act, now);
        }
        match app.store.submit(set).await {
            Ok(()) => {
                let reply = match ignored.as_slice() {
                    [] => Reply::ok(&shown(&after)),
                    _ => Reply::ok_with_meta(&shown(&after), &forms::ignored(Map::new(), &ignored)),
                };
                return Ok(reply.tagged_as(tag(&after)));
            }
            Err(Error::Exists { table }) if table == TABLE => return Err(taken(&after.name)),
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn changed(before: &SourceRecord, filled: Filled, secrets: Option<Sealed>, now: Millis) -> SourceRecord {
    let is_signed = filled.preset.is_signed();
    let mut after = SourceRecord {
        name: filled.name,
        preset: filled.preset.as_str().to_owned(),
        options: filled.options,
        status: filled.status.unwrap_or(before.status),
        secrets: secrets.or_else(|| before.secrets.clone()).filter(|_| is_signed),
        ..before.clone()
    };
    if after != *before {
        after.version += 1;
        after.updated_at = now.max(before.updated_at);
    }
    after
}

/// Removes a source: its sender is told that there is nothing.
pub async fn delete(
    app: &App,
    caller: &Caller,
    id: &str,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let gone = find(app, &caller.tenant, id).await?;
    if_match.check(&tag(&gone))?;
    let mut set = WriteSet::new();
    set.delete_source(&caller.tenant, &gone.id, gone.version);
    audit::note(app, &mut set, caller, Act::gone("source.delete", gone.id.as_str(), &shown(&gone)), now);
    app.store.submit(set).await?;
    Ok(Reply::deleted())
}

async fn sealed(
    app: &App,
    tenant: &Tenant,
    id: &SourceId,
    secrets: Option<&[String]>,
) -> Result<Option<Sealed>, Problem> {
    let Some(secrets) = secrets else { return Ok(None) };
    let owner = secret_owner(tenant, id);
    let sealed = app.webhook_keys.seal(&app.store, &owner, &listed(secrets), app.chance.as_ref()).await;
    sealed.map(Some).map_err(key_problem)
}
