//! Webhooks: who gets which signals where.
//!
//! Invariant: a secret leaves the server in the answer to the request that made it, and never again. What changes is
//! known to this node's spine before it is answered.
//! Not here: what was sent (see `deliveries`), sending (the delivery room's), reading bodies (see `form`).

pub mod deliveries;
mod form;
pub mod herald;

use crate::app::audit::{self, Act};
use crate::app::events::ATTEMPTS_MAX;
use crate::app::forms;
use crate::face::caller::Caller;
use crate::face::etag::{self, IfMatch};
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use form::Filled;
use http::StatusCode;
use openevent_delivery::KeyError;
use openevent_domain::ambient::Millis;
use openevent_domain::id::WebhookId;
use openevent_domain::planning::form::{Presence, whole};
use openevent_domain::signal::BUILT_IN;
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::{DISABLED, mint_secret};
use openevent_store::webhooks::{Place, SecretRecord, Status, WebhookRecord, secret_owner};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What is said beside a secret.
const SAVE_IT: &str = "Save this secret securely. You will not be able to see it again.";
/// How long an old secret is signed with beside the new one, unless asked for otherwise.
const OVERLAP_MS: i64 = 86_400_000;
/// At most.
const OVERLAP_MS_MAX: i64 = 7 * 86_400_000;

/// A webhook as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    name: &'a str,
    url: &'a str,
    events: &'a [String],
    #[serde(flatten)]
    options: &'a Map<String, Value>,
    status: &'static str,
    failure_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<&'a str>,
    created_at: Millis,
    updated_at: Millis,
}

fn shown(webhook: &WebhookRecord) -> Shown<'_> {
    Shown {
        underscore_id: webhook.id.as_str(),
        id: webhook.id.as_str(),
        name: &webhook.name,
        url: &webhook.url,
        events: &webhook.events,
        options: &webhook.options,
        status: webhook.status.as_str(),
        failure_count: webhook.failures,
        disabled_at: webhook.disabled_at,
        disabled_reason: webhook.disabled_reason.as_deref(),
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
    }
}

fn tag(webhook: &WebhookRecord) -> String {
    etag::of_bytes(format!("{} {} {}", webhook.id, webhook.version, webhook.failures).as_bytes())
}

/// The names that can be subscribed to without cataloguing anything.
pub fn events() -> Reply {
    let built_in = BUILT_IN.map(|(name, description)| {
        let category = name.split('.').next().unwrap_or_default();
        json!({"_id": name, "id": name, "name": name, "event": name, "description": description, "category": category})
    });
    Reply::ok(&built_in)
}

/// A page of webhooks, newest first.
pub async fn list(app: &App, tenant: &Tenant, list: &List) -> Result<Reply, Problem> {
    let status = list.params.one_of("status", &Status::ALL.map(|status| (status.as_str(), status)))?;
    let place = match list.after::<(Millis, String)>()? {
        Some((at, id)) => Place::After(at, id),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.webhooks(tenant, status, &place, list.limit + 1).await?;
    let total = app.store.webhooks_count(tenant, status).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&(row.created_at, row.id.as_str())));
    let webhooks: Vec<_> = rows.iter().map(shown).collect();
    Ok(list.reply(&webhooks, &meta))
}

/// One webhook.
pub async fn get(app: &App, tenant: &Tenant, id: &str) -> Result<Reply, Problem> {
    let webhook = find(app, tenant, id).await?;
    Ok(Reply::ok(&shown(&webhook)).tagged_as(tag(&webhook)))
}

/// One webhook as it is stored.
pub async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<WebhookRecord, Problem> {
    let missing = || Problem::not_found("Webhook");
    let id = WebhookId::parse(id).ok_or_else(missing)?;
    app.store.webhook(tenant, &id).await?.ok_or_else(missing)
}

/// Makes a webhook. The answer holds its secret.
pub async fn create(
    app: &App,
    caller: &Caller,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let mut form = forms::form(body)?;
    let mut filled = Filled::default();
    filled.read(app, tenant, &mut form, Presence::New).await?;
    let ignored = forms::finish(form)?;
    let webhook = WebhookRecord {
        id: WebhookId::mint(now, app.chance.as_ref()),
        tenant: tenant.clone(),
        name: filled.name,
        url: filled.url,
        events: filled.events,
        options: filled.options,
        status: filled.status.unwrap_or(Status::Active),
        failures: 0,
        disabled_at: None,
        disabled_reason: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let secret = mint_secret(app.chance.as_ref());
    let mut set = WriteSet::new();
    set.add_webhook(&webhook);
    set.add_webhook_secret(&sealed(app, &webhook, &secret, 1, now).await?, now);
    audit::note(
        app,
        &mut set,
        caller,
        Act::made("webhook.create", webhook.id.as_str(), &shown(&webhook)),
        now,
    );
    let mut data = json!(shown(&webhook));
    data["secret"] = secret.into();
    data["message"] = SAVE_IT.into();
    let meta = if ignored.is_empty() { None } else { Some(forms::ignored(Map::new(), &ignored)) };
    let reply = Reply {
        location: Some(format!("/api/v1/webhooks/{}", webhook.id)),
        ..Reply::with(StatusCode::CREATED, &data, meta.as_ref())
    };
    let reply = guard.commit(&app.store, set, reply.with_secret("secret")).await?;
    catch_up(app).await;
    Ok(reply)
}

/// Changes a webhook, or does nothing at all.
pub async fn change(
    app: &App,
    caller: &Caller,
    id: &str,
    body: Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = find(app, tenant, id).await?;
        if_match.check(&tag(&before))?;
        let mut form = forms::form(body.clone())?;
        forms::check_change(&form)?;
        let mut filled = Filled::of(&before);
        filled.read(app, tenant, &mut form, Presence::Known).await?;
        let ignored = forms::finish(form)?;
        let after = changed(&before, filled, now);
        let mut set = WriteSet::new();
        if after != before {
            set.change_webhook(&after, before.version);
            let act = Act::changed("webhook.update", before.id.as_str(), &shown(&before), &shown(&after));
            audit::note(app, &mut set, caller, act, now);
        }
        match app.store.submit(set).await {
            Ok(()) => {
                catch_up(app).await;
                let meta = forms::ignored(Map::new(), &ignored);
                let reply = match ignored.as_slice() {
                    [] => Reply::ok(&shown(&after)),
                    _ => Reply::ok_with_meta(&shown(&after), &meta),
                };
                return Ok(reply.tagged_as(tag(&after)));
            }
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The webhook with what was filled in; the very same when that changes nothing. What is switched on again begins
/// with a clean slate.
fn changed(before: &WebhookRecord, filled: Filled, now: Millis) -> WebhookRecord {
    let status = filled.status.unwrap_or(before.status);
    let mut after = WebhookRecord {
        name: filled.name,
        url: filled.url,
        events: filled.events,
        options: filled.options,
        status,
        ..before.clone()
    };
    if filled.status.is_some() && before.status != status {
        after.failures = if status == Status::Active { 0 } else { before.failures };
        after.disabled_at = None;
        after.disabled_reason = None;
    }
    if after != *before {
        after.version += 1;
        after.updated_at = now.max(before.updated_at);
    }
    after
}

/// Removes a webhook. What is owed to it is let go of.
pub async fn delete(
    app: &App,
    caller: &Caller,
    id: &str,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let gone = find(app, &caller.tenant, id).await?;
        if_match.check(&tag(&gone))?;
        let mut set = WriteSet::new();
        set.delete_webhook(&caller.tenant, &gone.id, gone.version);
        audit::note(app, &mut set, caller, Act::gone("webhook.delete", gone.id.as_str(), &shown(&gone)), now);
        match app.store.submit(set).await {
            Ok(()) => {
                catch_up(app).await;
                return Ok(Reply::deleted());
            }
            Err(Error::Missed(_)) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives a webhook a new secret; the old one is signed with beside it for a while.
pub async fn rotate(
    app: &App,
    caller: &Caller,
    id: &str,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let mut form = forms::optional(body)?;
    let overlap = form.take("overlapMs", whole(0, OVERLAP_MS_MAX)).unwrap_or(OVERLAP_MS);
    forms::finish(form)?;
    let before = find(app, &caller.tenant, id).await?;
    let newest = app.store.webhook_secrets(&caller.tenant, &before.id).await?;
    let n = newest.first().map_or(0, |secret| secret.n) + 1;
    let after = WebhookRecord {
        version: before.version + 1,
        updated_at: now.max(before.updated_at),
        ..before.clone()
    };
    let secret = mint_secret(app.chance.as_ref());
    let mut set = WriteSet::new();
    // Guards the number of the secret as well: of two rotations at once, one is told to read again.
    set.change_webhook(&after, before.version);
    set.add_webhook_secret(&sealed(app, &after, &secret, n, now).await?, now + overlap);
    audit::note(app, &mut set, caller, Act::done("webhook.rotate", after.id.as_str()), now);
    let data = json!({
        "_id": after.id, "id": after.id, "secret": secret, "message": SAVE_IT, "previousSecretEndsAt": now + overlap,
    });
    let reply = guard.commit(&app.store, set, Reply::ok(&data).with_secret("secret")).await?;
    catch_up(app).await;
    Ok(reply)
}

async fn sealed(
    app: &App,
    webhook: &WebhookRecord,
    secret: &str,
    n: i64,
    now: Millis,
) -> Result<SecretRecord, Problem> {
    let (tenant, id) = (&webhook.tenant, &webhook.id);
    let owner = secret_owner(tenant, id);
    let sealed = app.webhook_keys.seal(&app.store, &owner, secret, app.chance.as_ref()).await;
    let sealed = sealed.map_err(key_problem)?;
    Ok(SecretRecord {
        webhook_id: id.clone(),
        n,
        tenant: tenant.clone(),
        sealed,
        created_at: now,
        ends_at: None,
    })
}

/// What a caller is told when a secret could not be sealed or opened.
pub fn key_problem(cause: KeyError) -> Problem {
    match cause {
        KeyError::Store(cause) => cause.into(),
        other => Problem::unavailable(other),
    }
}

/// Lets the spine know what was just committed: a signal sent after the answer finds it.
async fn catch_up(app: &App) {
    if let Err(cause) = app.engine.registry().webhooks().refresh().await {
        tracing::warn!(error = &cause as &dyn std::error::Error, "webhooks could not be read again yet");
    }
}

/// Whether a name can be subscribed to although nobody catalogued it.
fn is_built_in(name: &str) -> bool {
    name == DISABLED
        || name.starts_with(openevent_engine::LIFECYCLE_PREFIX)
        || BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}
