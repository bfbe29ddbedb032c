//! `/api/v1/secrets`: what workflows need and nobody may read back.
//!
//! Invariant: a value goes in and never comes out.
//! Not here: the rules (`app::secrets`).

use crate::app::secrets::{self as use_case, SecretView};
use crate::face::body::{Body, Json};
use crate::face::caller::{Can, ReadWorkflows, WriteWorkflows};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::fields::Fields;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// What a PUT takes.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct SecretBody {
    /// Text, or an object whose members are text, such as `{"username": "…", "password": "…"}`.
    #[schema(value_type = Object)]
    value: Value,
}

/// Lists secrets
///
/// By name, without their values. Those of the server's environment are not shown.
#[utoipa::path(
    get,
    path = "/api/v1/secrets",
    tag = "Secrets",
    params(Page),
    responses((status = 200, description = "Secrets", body = Many<SecretView>)),
    security(("apiKey" = ["workflows:read"])),
)]
async fn list(caller: Can<ReadWorkflows>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    list.slice(&use_case::list(&app, &caller.tenant).await?, |secret| secret.name.clone())
}

/// Reads when a secret was put
#[utoipa::path(
    get,
    path = "/api/v1/secrets/{name}",
    tag = "Secrets",
    params(("name" = String, Path, description = "The secret's name", example = "stripe")),
    responses((status = 200, description = "The secret, without its value", body = One<SecretView>)),
    security(("apiKey" = ["workflows:read"])),
)]
async fn get(
    caller: Can<ReadWorkflows>,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Reply, Problem> {
    let secret = use_case::get(&app, &caller.tenant, &name).await?;
    Ok(Reply::ok(&secret).tagged_as(secret.etag()))
}

/// Puts a secret
///
/// Runs use the new value from their next call on.
#[utoipa::path(
    put,
    path = "/api/v1/secrets/{name}",
    tag = "Secrets",
    params(("name" = String, Path, description = "The secret's name", example = "stripe")),
    request_body = SecretBody,
    responses(
        (status = 200, description = "Replaced", body = One<SecretView>),
        (status = 201, description = "New", body = One<SecretView>),
    ),
    security(("apiKey" = ["workflows:write"])),
)]
async fn put(
    caller: Can<WriteWorkflows>,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    let mut fields = Fields::of(body)?;
    let value = fields.any("value").unwrap_or_default();
    fields.finish()?;
    let (secret, put) = use_case::put(&app, &caller, &name, &value, &if_match, now).await?;
    let reply = if put.is_replaced {
        Reply::ok(&secret)
    } else {
        Reply::created(format!("/api/v1/secrets/{name}"), &secret)
    };
    Ok(reply.tagged_as(secret.etag()))
}

/// Takes a secret away
#[utoipa::path(
    delete,
    path = "/api/v1/secrets/{name}",
    tag = "Secrets",
    params(("name" = String, Path, description = "The secret's name", example = "stripe")),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["workflows:write"])),
)]
async fn delete(
    caller: Can<WriteWorkflows>,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, &name, &if_match, now).await?;
    Ok(Reply::deleted())
}
