//! What was sent to webhooks, attempt by attempt, and sending it again.
//!
//! Invariant: sending again keeps the delivery's id and body. What is asked for is written before it is answered, and
//! sent by whichever node finds it first.
//! Not here: sending.

use super::find;
use crate::app::audit::{self, Act};
use crate::app::forms;
use crate::face::caller::Caller;
use crate::face::idempotency::Guard;
use crate::face::list::{List, cursor};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::SignalId;
use openevent_domain::planning::form::{object, text};
use openevent_domain::signal::SignalName;
use openevent_domain::tenant::Tenant;
use openevent_domain::webhook::{DeliveryId, TEST, body};
use openevent_store::deliveries::{AttemptRecord, DeliveryRecord, Filter, Place, Recovery, Status};
use openevent_store::webhooks::{Status as WebhookStatus, WebhookRecord};
use openevent_store::{NewDelivery, WriteSet};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Deliveries that one recovery makes due; the next call goes on with the rest.
const RECOVERED_MAX: i64 = 100_000;
/// Deliveries that one set makes due.
const BITE: usize = 1_000;
/// Deliveries of one signal that its story shows.
const STORY_MAX: i64 = 100;
/// Attempts that statistics are made of.
const RECENT_MAX: i64 = 1_000;
/// Bytes of a test's data.
const TEST_BYTES_MAX: usize = 64 * 1_024;

/// A delivery as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    webhook_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal_id: Option<&'a str>,
    event: &'a str,
    status: &'static str,
    attempt_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    created_at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Millis>,
    attempts: Vec<ShownAttempt<'a>>,
}

/// An attempt as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAttempt<'a> {
    attempt: i64,
    at: Millis,
    duration_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
}

/// Deliveries with their attempts.
async fn with_attempts(app: &App, tenant: &Tenant, rows: &[DeliveryRecord]) -> Result<Vec<Value>, Problem> {
    let attempts = app.store.attempts_of(tenant, rows).await?;
    let mut by_delivery: HashMap<&DeliveryId, Vec<&AttemptRecord>> = HashMap::new();
    for attempt in &attempts {
        by_delivery.entry(&attempt.delivery_id).or_default().push(attempt);
    }
    let shown = |row: &DeliveryRecord| json!(shown(row, by_delivery.get(&row.id).map_or(&[], Vec::as_slice)));
    Ok(rows.iter().map(shown).collect())
}

fn shown<'a>(row: &'a DeliveryRecord, attempts: &[&'a AttemptRecord]) -> Shown<'a> {
    let attempt = |attempt: &&'a AttemptRecord| ShownAttempt {
        attempt: attempt.n,
        at: attempt.at,
        duration_ms: attempt.duration_ms,
        status: attempt.status,
        error: attempt.error.as_deref(),
        response: attempt.answer.as_deref(),
    };
    Shown {
        underscore_id: row.id.as_str(),
        id: row.id.as_str(),
        webhook_id: row.webhook_id.as_str(),
        signal_id: row.signal_id.as_ref().map(SignalId::as_str),
        event: &row.name,
        status: row.status.as_str(),
        attempt_count: row.attempts,
        next_attempt_at: (row.status == Status::Pending).then_some(row.due_at),
        response_status: row.answered,
        reason: row.reason.as_deref(),
        created_at: row.created_at,
        ended_at: row.settled_at,
        attempts: attempts.iter().map(attempt).collect(),
    }
}

/// A page of a webhook's deliveries, newest first.
pub async fn list(app: &App, tenant: &Tenant, id: &str, list: &List) -> Result<Reply, Problem> {
    let webhook = find(app, tenant, id).await?;
    let params = &list.params;
    let filter = Filter {
        webhook_id: Some(webhook.id),
        signal_id: params.get("signalId").map(|id| SignalId::trusted(id.to_owned())),
        status: params.one_of("status", &Status::ALL.map(|status| (status.as_str(), status)))?,
        name: params.get("event").map(str::to_owned),
        from: params.time("from")?,
        to: params.time("to")?,
    };
    let place = list.after::<i64>()?.map_or_else(|| Place::Offset(list.offset()), Place::After);
    let mut rows = app.store.deliveries(tenant, &filter, place, list.limit + 1).await?;
    let total = app.store.deliveries_count(tenant, &filter).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.seq));
    let shown = with_attempts(app, tenant, &rows).await?;
    Ok(list.reply(&shown, &meta))
}

/// One delivery.
pub async fn get(app: &App, tenant: &Tenant, webhook: &str, id: &str) -> Result<Reply, Problem> {
    let webhook = find(app, tenant, webhook).await?;
    let row = one(app, &webhook, id).await?;
    let shown = with_attempts(app, tenant, std::slice::from_ref(&row)).await?;
    Ok(Reply::ok(&shown[0]).tagged())
}

async fn one(app: &App, webhook: &WebhookRecord, id: &str) -> Result<DeliveryRecord, Problem> {
    let missing = || Problem::not_found("Delivery");
    let id = DeliveryId::parse(id).ok_or_else(missing)?;
    app.store.delivery(&webhook.tenant, &webhook.id, &id).await?.ok_or_else(missing)
}

/// What a signal's story shows.
pub async fn of_signal(app: &App, tenant: &Tenant, signal: &SignalId) -> Result<Vec<Value>, Problem> {
    let filter = Filter { signal_id: Some(signal.clone()), ..Filter::default() };
    let mut rows = app.store.deliveries(tenant, &filter, Place::Offset(0), STORY_MAX).await?;
    rows.reverse();
    with_attempts(app, tenant, &rows).await
}

/// Sends one delivery again.
pub async fn redeliver(
    app: &App,
    caller: &Caller,
    webhook: &str,
    id: &str,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let webhook = find(app, &caller.tenant, webhook).await?;
    let row = one(app, &webhook, id).await?;
    check_active(&webhook)?;
    let mut set = WriteSet::new();
    set.redeliver(&caller.tenant, &webhook.id, &row.id, now);
    audit::note(app, &mut set, caller, Act::done("webhook.redeliver", webhook.id.as_str()), now);
    let again = DeliveryRecord { status: Status::Pending, due_at: now, settled_at: None, ..row };
    let attempts = app.store.attempts_of(&caller.tenant, std::slice::from_ref(&again)).await?;
    let attempts: Vec<_> = attempts.iter().collect();
    guard.commit(&app.store, set, Reply::accepted(&shown(&again, &attempts))).await
}

/// Lets go of one delivery, so that those that wait for it go on.
pub async fn skip(
    app: &App,
    caller: &Caller,
    webhook: &str,
    id: &str,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let webhook = find(app, &caller.tenant, webhook).await?;
    let row = one(app, &webhook, id).await?;
    if matches!(row.status, Status::Delivered | Status::Skipped) {
        return Err(Problem::bad_request(format!("The delivery is {}", row.status.as_str())));
    }
    let mut set = WriteSet::new();
    set.skip_delivery(&caller.tenant, &webhook.id, &row.id, now);
    audit::note(app, &mut set, caller, Act::done("webhook.skip", webhook.id.as_str()), now);
    let attempts = app.store.attempts_of(&caller.tenant, std::slice::from_ref(&row)).await?;
    let skipped = DeliveryRecord { status: Status::Skipped, settled_at: Some(now), ..row };
    let attempts: Vec<_> = attempts.iter().collect();
    guard.commit(&app.store, set, Reply::ok(&shown(&skipped, &attempts))).await
}

/// How a webhook fares: its last attempts, and what is still owed to it.
pub async fn stats(app: &App, tenant: &Tenant, id: &str, now: Millis) -> Result<Reply, Problem> {
    let webhook = find(app, tenant, id).await?;
    let recent = app.store.recent_attempts(tenant, &webhook.id, RECENT_MAX).await?;
    let backlog = app.store.webhook_backlog(tenant, &webhook.id).await?;
    let good = recent.iter().filter(|(status, _)| matches!(status, Some(200..=299))).count();
    let mut durations: Vec<i64> = recent.iter().map(|(_, duration)| *duration).collect();
    durations.sort_unstable();
    let quantile =
        |share: usize| durations.get((durations.len() * share / 100).min(durations.len().max(1) - 1));
    let ratio = (!recent.is_empty()).then(|| good as f64 / recent.len() as f64);
    Ok(Reply::ok(&json!({
        "_id": webhook.id, "id": webhook.id, "status": webhook.status.as_str(), "attempts": recent.len(),
        "succeeded": good, "successRatio": ratio, "p50Ms": quantile(50), "p95Ms": quantile(95),
        "pending": backlog.pending, "queueAgeMs": backlog.oldest_at.map_or(0, |at| (now - at).max(0)),
    })))
}

/// Makes a delivery that says only that it is a test. It is sent whatever the webhook's state, once, and counts for nothing.
pub async fn test(
    app: &App,
    caller: &Caller,
    webhook: &str,
    given: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let webhook = find(app, &caller.tenant, webhook).await?;
    let mut form = forms::optional(given)?;
    let name = form.take("event", |value| {
        let Some(name) = text(openevent_domain::signal::NAME_CHARS_MAX)(value)? else { return Ok(None) };
        SignalName::parse(&name).map(|_| Some(name)).map_err(|bad| bad.to_string())
    });
    let data = form.take("data", object(TEST_BYTES_MAX));
    forms::finish(form)?;
    let name = name.unwrap_or_else(|| TEST.to_owned());
    let data = data.unwrap_or_else(|| test_data(&webhook));
    let id = DeliveryId::mint(now, app.chance.as_ref());
    let text = String::from_utf8_lossy(&body(&id, &name, now, &Value::Object(data).to_string())).into_owned();
    let delivery = NewDelivery {
        id: id.clone(),
        tenant: webhook.tenant.clone(),
        webhook_id: webhook.id.clone(),
        signal: None,
        name,
        body: Some(text),
        lane: None,
        status: Status::Pending,
        holder: Arc::from(""),
        created_at: now,
    };
    let mut set = WriteSet::new();
    let shown = json!({
        "_id": id, "id": id, "webhookId": webhook.id, "event": delivery.name, "status": "pending",
        "attemptCount": 0, "createdAt": now, "attempts": [],
    });
    set.add_delivery(Arc::new(delivery));
    set.nudge_deliveries();
    audit::note(app, &mut set, caller, Act::done("webhook.test", webhook.id.as_str()), now);
    let location = Some(format!("/api/v1/webhooks/{}/deliveries/{id}", webhook.id));
    guard.commit(&app.store, set, Reply { location, ..Reply::accepted(&shown) }).await
}

fn test_data(webhook: &WebhookRecord) -> Map<String, Value> {
    let said = "This is a test. Nothing happened.";
    Map::from_iter([("webhookId".to_owned(), json!(webhook.id)), ("message".to_owned(), json!(said))])
}

/// What a recovery is asked for.
struct Asked {
    since: Millis,
    per_second: i64,
    is_dry: bool,
}

impl Asked {
    async fn of(app: &App, tenant: &Tenant, params: &Params) -> Result<Self, Problem> {
        let since = match (params.time("since")?, params.get("sinceEvent")) {
            (Some(since), _) => since,
            (None, Some(id)) => {
                let missing = || Problem::field("sinceEvent", "is no signal of this project");
                let id = SignalId::parse(id).ok_or_else(missing)?;
                app.store.signal(tenant, &id).await?.ok_or_else(missing)?.received_at
            }
            (None, None) => return Err(Problem::field("since", "field is required (or `sinceEvent`)")),
        };
        let number = params.get("ratePerSecond").map(|text| text.parse::<i64>().ok());
        let per_second = match number {
            None => BITE as i64,
            Some(Some(rate @ 1..=1_000)) => rate,
            Some(_) => return Err(Problem::field("ratePerSecond", "must be a whole number from 1 to 1000")),
        };
        Ok(Self { since, per_second, is_dry: params.flag("dryRun")?.unwrap_or_default() })
    }
}

/// Makes due what was held or had failed since a time. Broken off at any instant, the next call goes on with the rest.
pub async fn recover(
    app: &App,
    caller: &Caller,
    webhook: &str,
    params: &Params,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let webhook = find(app, &caller.tenant, webhook).await?;
    let asked = Asked::of(app, &caller.tenant, params).await?;
    let mut recovery =
        Recovery { tenant: &caller.tenant, webhook_id: &webhook.id, since: asked.since, after_seq: 0 };
    let places = app.store.recoverable(&recovery, RECOVERED_MAX + 1).await?;
    let has_more = places.len() as i64 > RECOVERED_MAX;
    let places = &places[..places.len().min(RECOVERED_MAX as usize)];
    let data = json!({
        "webhookId": webhook.id, "since": asked.since, "recovered": places.len(), "count": places.len(),
        "dryRun": asked.is_dry, "hasMore": has_more,
    });
    if asked.is_dry {
        return Ok(Reply::ok(&data));
    }
    check_active(&webhook)?;
    for (second, bite) in places.chunks(asked.per_second as usize).enumerate() {
        let Some(last) = bite.last() else { break };
        let mut set = WriteSet::new();
        // A rate that nobody asked for is no rate: everything is due at once.
        let pause_ms = if params.get("ratePerSecond").is_some() { 1_000 } else { 0 };
        set.recover_deliveries(&recovery, *last, now + second as i64 * pause_ms);
        app.store.submit(set).await?;
        recovery.after_seq = *last;
    }
    let mut set = WriteSet::new();
    let after = json!({"since": asked.since, "count": places.len()});
    let act = Act { name: "webhook.recover", target: webhook.id.as_str(), before: None, after: Some(after) };
    audit::note(app, &mut set, caller, act, now);
    guard.commit(&app.store, set, Reply::accepted(&data)).await
}

fn check_active(webhook: &WebhookRecord) -> Result<(), Problem> {
    match webhook.status {
        WebhookStatus::Active => Ok(()),
        status => Err(Problem::bad_request(format!(
            "The webhook is {}; set its status to active first",
            status.as_str()
        ))),
    }
}
