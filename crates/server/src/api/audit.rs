//! `/api/v1/audit`: who wrote what.
//!
//! Invariant: the log is read only; whoever reads it holds every right of the project.
//! Not here: what is told (`app::audit` and the use cases).

use crate::app::audit as use_case;
use crate::face::caller::{Can, Everything};
use crate::face::endpoint::routes;
use crate::face::list::List;
use crate::face::openapi::{Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get))
}

/// A write.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
struct AuditEntry {
    id: String,
    /// What was done.
    #[schema(example = "event.update")]
    action: String,
    actor: AuditActor,
    target: AuditTarget,
    /// What was there before, as far as it changed.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What is there since, as far as it changed.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// `X-Request-Id` of the request.
    request_id: Option<String>,
    /// The client's address.
    address: Option<String>,
    /// Unix milliseconds.
    created_at: i64,
}

/// Who did it.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct AuditActor {
    /// `key`, `user`, `operator`, `workflow`, `cli` or `public`.
    kind: String,
    /// Which of its kind.
    id: String,
    /// What people call it.
    name: Option<String>,
}

/// To what.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct AuditTarget {
    #[schema(example = "event")]
    kind: String,
    id: String,
}

/// Lists writes
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "Audit",
    params(
        Page,
        ("scope" = Option<String>, Query, description = "`project` (the default), or `instance`: the directory, users and projects"),
        ("actor" = Option<String>, Query, description = "Only of this actor, by id"),
        ("action" = Option<String>, Query, description = "Only this action, or all of a kind: `event.*`"),
        ("target" = Option<String>, Query, description = "Only what was done to this, by id"),
        ("from" = Option<i64>, Query, description = "At or after, Unix milliseconds"),
        ("to" = Option<i64>, Query, description = "At or before, Unix milliseconds"),
        ("sort" = Option<String>, Query, description = "`-createdAt` (the default) or `createdAt`"),
    ),
    responses((status = 200, description = "Writes", body = Many<AuditEntry>)),
    security(("apiKey" = ["*"])),
)]
async fn list(caller: Can<Everything>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller, &list).await
}

/// Reads a write
#[utoipa::path(
    get,
    path = "/api/v1/audit/{id}",
    tag = "Audit",
    params(("id" = String, Path, description = "The entry's id")),
    responses((status = 200, description = "The write", body = One<AuditEntry>)),
    security(("apiKey" = ["*"])),
)]
async fn get(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller, &id).await
}
