//! `/api/v1/webhooks/{id}/deliveries`: what was sent, and sending it again.
//!
//! Invariant: the webhook is looked for before anything of it is shown or done.
//! Not here: the rules (`app::webhooks::deliveries`).

use crate::app::webhooks::deliveries as use_case;
use crate::face::body::{MaybeJson, Nothing};
use crate::face::caller::{Can, Everything};
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Many, One, Page};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(redeliver))
        .routes(routes!(skip))
        .routes(routes!(stats))
        .routes(routes!(test))
        .routes(routes!(recover))
}

/// One HTTP exchange, or the failure to have one.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = DeliveryAttempt)]
#[expect(dead_code, reason = "documents the answer")]
struct Try {
    /// From 1.
    attempt: i64,
    at: i64,
    duration_ms: i64,
    /// What was answered.
    status: Option<i64>,
    /// Why there was no answer.
    error: Option<String>,
    /// The first 1024 bytes of the answer.
    response: Option<String>,
}

/// A signal owed to a webhook.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
struct Delivery {
    #[schema(example = "wh_1699900000_abc123")]
    id: String,
    webhook_id: String,
    /// Absent for tests.
    signal_id: Option<String>,
    event: String,
    /// `pending`, `delivered`, `failed`, `held` or `skipped`.
    status: String,
    attempt_count: i64,
    next_attempt_at: Option<i64>,
    response_status: Option<i64>,
    reason: Option<String>,
    created_at: i64,
    ended_at: Option<i64>,
    attempts: Vec<Try>,
}

/// What a test takes.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct TestBody {
    /// `webhook.test` unless another name is given.
    event: Option<String>,
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
}

/// How a webhook fares.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = WebhookStats)]
#[expect(dead_code, reason = "documents the answer")]
struct Stats {
    id: String,
    status: String,
    /// How many attempts the figures are made of.
    attempts: i64,
    succeeded: i64,
    /// Of all attempts, from 0 to 1; `null` without any.
    success_ratio: Option<f64>,
    p50_ms: Option<i64>,
    p95_ms: Option<i64>,
    /// Deliveries still owed.
    pending: i64,
    /// Since when the oldest of them is.
    queue_age_ms: i64,
}

/// What a recovery does.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
struct Recovery {
    webhook_id: String,
    since: i64,
    /// Deliveries that are due now, or would be.
    recovered: i64,
    dry_run: bool,
    /// Whether another call finds more.
    has_more: bool,
}

/// Lists the deliveries of a webhook
///
/// Newest first, each with its attempts.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/deliveries",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        Page,
        ("status" = Option<String>, Query, description = "`pending`, `delivered`, `failed`, `held` or `skipped`"),
        ("event" = Option<String>, Query, description = "Only of signals of this name"),
        ("signalId" = Option<String>, Query, description = "Only of this signal"),
        ("from" = Option<i64>, Query, description = "Made at or after, Unix milliseconds"),
        ("to" = Option<i64>, Query, description = "Made at or before, Unix milliseconds"),
    ),
    responses((status = 200, description = "Deliveries", body = Many<Delivery>)),
    security(("apiKey" = ["*"])),
)]
async fn list(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    list: List,
) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &id, &list).await
}

/// Reads a delivery
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("delivery_id" = String, Path, description = "The delivery's id"),
    ),
    responses((status = 200, description = "The delivery", body = One<Delivery>)),
    security(("apiKey" = ["*"])),
)]
async fn get(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller.tenant, &id, &delivery).await
}

/// Sends a delivery again
///
/// With the same id and body, whatever has become of it; a failure begins the schedule anew.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}/redeliver",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("delivery_id" = String, Path, description = "The delivery's id"),
    ),
    responses((status = 202, description = "The delivery, which is due now", body = One<Delivery>)),
    security(("apiKey" = ["*"])),
)]
async fn redeliver(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path((id, delivery)): Path<(String, String)>,
    Moment(now): Moment,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::redeliver(&app, &caller, &id, &delivery, guard, now).await
}

/// Lets go of a delivery
///
/// It is not sent any more; deliveries that waited for it go on.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/deliveries/{delivery_id}/skip",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("delivery_id" = String, Path, description = "The delivery's id"),
    ),
    responses((status = 200, description = "The delivery", body = One<Delivery>)),
    security(("apiKey" = ["*"])),
)]
async fn skip(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path((id, delivery)): Path<(String, String)>,
    Moment(now): Moment,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::skip(&app, &caller, &id, &delivery, guard, now).await
}

/// Says how a webhook fares
///
/// Made of its last 1000 attempts, and of what is still owed to it.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/stats",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "Its figures", body = One<Stats>)),
    security(("apiKey" = ["*"])),
)]
async fn stats(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
) -> Result<Reply, Problem> {
    use_case::stats(&app, &caller.tenant, &id, now).await
}

/// Sends a test
///
/// Signed as everything is, tried once, whatever the webhook's status; it starts nothing and counts for nothing.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/test",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = Option<TestBody>,
    responses((status = 202, description = "The delivery, which is due now", body = One<Delivery>)),
    security(("apiKey" = ["*"])),
)]
async fn test(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    Once { body: MaybeJson(body), guard }: Once<MaybeJson>,
) -> Result<Reply, Problem> {
    use_case::test(&app, &caller, &id, body, guard, now).await
}

/// Sends what was held or had failed
///
/// Oldest first, at most 100 000 deliveries a call. Broken off, the next call goes on with the rest.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/recover",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("since" = Option<i64>, Query, description = "Made at or after, Unix milliseconds"),
        ("sinceEvent" = Option<String>, Query, description = "Instead: made since this signal came"),
        ("ratePerSecond" = Option<i64>, Query, description = "Spread them, 1 to 1000 a second"),
        ("dryRun" = Option<bool>, Query, description = "Only say how many there are"),
    ),
    responses(
        (status = 200, description = "What would be recovered", body = One<Recovery>),
        (status = 202, description = "What is due now", body = One<Recovery>),
    ),
    security(("apiKey" = ["*"])),
)]
async fn recover(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    params: Params,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::recover(&app, &caller, &id, &params, guard, now).await
}
