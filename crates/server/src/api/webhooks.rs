//! `/api/v1/webhooks`: who gets which signals where.
//!
//! Invariant: managing them is an admin's duty (`*`); the list of names needs no credential.
//! Not here: the rules (`app::webhooks`), what was sent (`deliveries`).

mod deliveries;

use crate::app::webhooks as use_case;
use crate::face::body::{Body, Json, MaybeJson};
use crate::face::caller::{Anyone, Can, Everything};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{FromRequestParts, Path, State};
use http::request::Parts;
use openevent_store::webhooks::WebhookRecord;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(events))
        .routes(routes!(get, change, delete))
        .routes(routes!(rotate))
        .merge(deliveries::routes())
}

/// The webhook in the path. It is looked for before a body is read.
struct Target(WebhookRecord);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        #[derive(serde::Deserialize)]
        struct Named {
            id: String,
        }
        let caller = Anyone::from_request_parts(parts, app).await?;
        let named = Path::<Named>::from_request_parts(parts, app).await;
        let Path(Named { id }) = named.map_err(|_| Problem::not_found("Webhook"))?;
        use_case::find(app, &caller.tenant, &id).await.map(Self)
    }
}

/// What a webhook is made of. A PATCH takes any of it.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct WebhookBody {
    /// At most 100 characters.
    #[schema(example = "My App Webhook")]
    name: String,
    /// An https URL; in development also http to localhost, 127.0.0.1 or \[::1\].
    #[schema(example = "https://example.com/webhook")]
    url: String,
    /// Built-in or catalogued names, `prefix.*`, or `*` for every signal of the project.
    #[schema(example = json!(["event.created", "vendor.*"]))]
    events: Vec<String>,
    /// `active` (the default) or `paused`: then deliveries are held until they are recovered.
    status: Option<String>,
    /// A jq expression on the payload; only signals for which it is neither null nor false are delivered.
    #[schema(example = ".status == \"active\"")]
    filter: Option<String>,
    /// A jq expression on the payload; deliveries with the same result go out one after the other.
    #[schema(example = ".eventId")]
    fifo_key: Option<String>,
    /// Attempts a second, 1 to 1000.
    rate_per_second: Option<i64>,
    /// Attempts at one time, 1 to 64.
    max_concurrency: Option<i64>,
}

/// A webhook.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Webhook)]
#[expect(dead_code, reason = "documents the answer")]
struct WebhookView {
    id: String,
    name: String,
    url: String,
    events: Vec<String>,
    filter: Option<String>,
    fifo_key: Option<String>,
    rate_per_second: Option<i64>,
    max_concurrency: Option<i64>,
    /// `active`, `paused`, or `disabled` after five failed attempts in a row.
    status: String,
    /// Failed attempts since the last good one.
    failure_count: i64,
    disabled_at: Option<i64>,
    disabled_reason: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// A webhook and its secret.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct NewWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// `whsec_` and the base64 of 32 bytes. Shown once.
    secret: String,
    message: String,
}

/// What a rotation takes.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct RotationBody {
    /// How long deliveries are signed with the old secret as well, in milliseconds: a day, at most seven.
    overlap_ms: Option<i64>,
}

/// A new secret.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
struct NewSecret {
    id: String,
    /// Shown once.
    secret: String,
    message: String,
    previous_secret_ends_at: i64,
}

/// A name that can be subscribed to.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct WebhookEvent {
    #[schema(example = "event.created")]
    name: String,
    description: String,
    category: String,
}

/// Lists webhooks
///
/// Newest first, without their secrets.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "Webhooks",
    params(Page, ("status" = Option<String>, Query, description = "`active`, `paused` or `disabled`")),
    responses((status = 200, description = "Webhooks", body = Many<WebhookView>)),
    security(("apiKey" = ["*"])),
)]
async fn list(caller: Can<Everything>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &list).await
}

/// Creates a webhook
///
/// The answer holds its secret, which is shown once. From then on every signal it asks for is delivered to it.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks",
    tag = "Webhooks",
    request_body = WebhookBody,
    responses((status = 201, description = "The webhook with its secret", body = One<NewWebhook>)),
    security(("apiKey" = ["*"])),
)]
async fn create(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, body, guard, now).await
}

/// Lists the names the server itself sends
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/events",
    tag = "Webhooks",
    responses((status = 200, description = "Names", body = One<Vec<WebhookEvent>>)),
    security(()),
)]
async fn events() -> Reply {
    use_case::events()
}

/// Reads a webhook
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook", body = One<WebhookView>)),
    security(("apiKey" = ["*"])),
)]
async fn get(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller.tenant, &id).await
}

/// Changes a webhook
///
/// `status: active` switches a disabled or paused one on again; what was held meanwhile is sent by `recover`.
#[utoipa::path(
    patch,
    path = "/api/v1/webhooks/{id}",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = WebhookBody,
    responses((status = 200, description = "The webhook as it is now", body = One<WebhookView>)),
    security(("apiKey" = ["*"])),
)]
async fn change(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Target(webhook): Target,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::change(&app, &caller, webhook.id.as_str(), body, &if_match, now).await
}

/// Deletes a webhook
///
/// What is still owed to it is not sent any more.
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{id}",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["*"])),
)]
async fn delete(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, &id, &if_match, now).await
}

/// Gives a webhook a new secret
///
/// Until the overlap ends, deliveries carry signatures of both secrets.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/rotate",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = Option<RotationBody>,
    responses((status = 200, description = "The new secret", body = One<NewSecret>)),
    security(("apiKey" = ["*"])),
)]
async fn rotate(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Target(webhook): Target,
    Moment(now): Moment,
    Once { body: MaybeJson(body), guard }: Once<MaybeJson>,
) -> Result<Reply, Problem> {
    use_case::rotate(&app, &caller, webhook.id.as_str(), body, guard, now).await
}
