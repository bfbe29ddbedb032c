//! `/api/v1/api-keys`: the keys of a project.
//!
//! Invariant: all of it needs `*`; a key's text is answered once.
//! Not here: the rules (`app::keys`).

use crate::app::keys::{self as use_case, Act};
use crate::face::body::{Json, Nothing};
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
use openevent_store::keys::KeyRecord;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change, delete))
        .routes(routes!(revoke))
}

/// The key a path names, found before a body is read.
struct Target(KeyRecord);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, app).await?;
        let named = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = named.map_err(|_| Problem::not_found("API key"))?;
        use_case::find(app, &caller, &id).await.map(Self)
    }
}

/// What is said of a key. A PATCH takes any of it but `environment`; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct ApiKeyBody {
    /// At most 100 characters.
    #[schema(example = "ci")]
    name: String,
    /// Scopes such as `events:read`, `events:*` or `*`.
    #[schema(example = json!(["events:read", "events:write"]))]
    scopes: Vec<String>,
    /// `live` or `test`; the caller's own when it is left out.
    environment: Option<String>,
    /// From when on it is refused, Unix milliseconds.
    expires_at: Option<i64>,
    /// Calls an hour. More than the default is given by admins of the instance.
    rate_limit: Option<u32>,
}

/// An API key.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = ApiKey)]
#[expect(dead_code, reason = "documents the answer")]
struct ApiKeyView {
    id: String,
    name: String,
    /// The key itself: in the answer to POST, once.
    key: Option<String>,
    /// How it begins.
    #[schema(example = "oe_live_abcd")]
    prefix: String,
    scopes: Vec<String>,
    /// `live` or `test`.
    environment: String,
    /// `active`, `expired` or `revoked`.
    status: String,
    /// Whether its `*` reaches beyond its project.
    instance_admin: bool,
    rate_limit: Option<u32>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    /// Within a minute or so.
    last_used_at: Option<i64>,
    /// The user who made it; absent for the operator's.
    created_by: Option<String>,
    created_at: i64,
}

/// Lists API keys
///
/// Of the whole project, newest first; a test credential sees test keys only.
#[utoipa::path(
    get,
    path = "/api/v1/api-keys",
    tag = "API keys",
    params(
        Page,
        ("environment" = Option<String>, Query, description = "`live` or `test`"),
        ("status" = Option<String>, Query, description = "`active`, `expired` or `revoked`"),
    ),
    responses((status = 200, description = "Keys, without their text", body = Many<ApiKeyView>)),
    security(("apiKey" = ["*"])),
)]
async fn list(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    list: List,
) -> Result<Reply, Problem> {
    use_case::list(&app, &caller, &list, now).await
}

/// Makes an API key
///
/// `data.key` is the key. It is not shown again.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys",
    tag = "API keys",
    request_body = ApiKeyBody,
    responses((status = 201, description = "The key", body = One<ApiKeyView>)),
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

/// Reads an API key
#[utoipa::path(
    get,
    path = "/api/v1/api-keys/{id}",
    tag = "API keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key, without its text", body = One<ApiKeyView>)),
    security(("apiKey" = ["*"])),
)]
async fn get(_caller: Can<Everything>, Moment(now): Moment, Target(key): Target) -> Reply {
    use_case::get(&key, now)
}

/// Changes an API key
///
/// It counts from the next call on.
#[utoipa::path(
    patch,
    path = "/api/v1/api-keys/{id}",
    tag = "API keys",
    params(("id" = String, Path, description = "The key's id")),
    request_body = ApiKeyBody,
    responses((status = 200, description = "The key as it is now", body = One<ApiKeyView>)),
    security(("apiKey" = ["*"])),
)]
async fn change(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Target(key): Target,
    if_match: IfMatch,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::act(&app, &caller, key, Act::Change(body), &if_match, guard, now).await
}

/// Revokes an API key
///
/// For good. Revoking it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys/{id}/revoke",
    tag = "API keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key as it is now", body = One<ApiKeyView>)),
    security(("apiKey" = ["*"])),
)]
async fn revoke(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Target(key): Target,
    if_match: IfMatch,
    Once { body: Nothing, guard }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::act(&app, &caller, key, Act::Revoke, &if_match, guard, now).await
}

/// Deletes an API key
///
/// It is refused from now on, and lists show it no more.
#[utoipa::path(
    delete,
    path = "/api/v1/api-keys/{id}",
    tag = "API keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["*"])),
)]
async fn delete(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Target(key): Target,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, key, &if_match, now).await?;
    Ok(Reply::deleted())
}
