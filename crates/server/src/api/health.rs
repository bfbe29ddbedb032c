//! `GET /health` and `GET /api/health`.
//!
//! Invariant: neither asks for a credential nor is ever refused for a rate limit.
//! Not here: the look itself (`app::health`).

use super::index::VERSION;
use crate::app::health::{Health, look};
use crate::face::endpoint::routes;
use crate::face::openapi::One;
use crate::face::problem::{Code, FieldIssue, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// The state of the server and its parts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HealthView {
    /// `healthy`, or `degraded` when a part is not.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The server's version.
    version: &'static str,
    /// Its parts.
    checks: Checks,
}

/// The parts of the server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Checks {
    /// The database.
    database: Check,
    /// The Temporal cluster, where one drives the runs. Without it everything is accepted, and runs wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    temporal: Option<Check>,
}

/// One part.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// `healthy` or `unavailable`.
    status: &'static str,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(health)).routes(routes!(api_health))
}

/// Whether the server is well
#[utoipa::path(
    get,
    path = "/health",
    tag = "Server",
    responses(
        (status = 200, description = "It works; `degraded` where runs wait for their cluster", body = One<HealthView>),
        (status = 503, description = "The database does not answer; `data` says so beside `error`", body = One<HealthView>),
    ),
)]
async fn health(State(app): State<Arc<App>>) -> Result<Reply, Problem> {
    let health = look(&app.store, &app.engine).await;
    let (status, database) = match health {
        Health::Healthy => ("healthy", "healthy"),
        Health::ClusterAway => ("degraded", "healthy"),
        Health::DatabaseAway => ("degraded", "unavailable"),
    };
    let word = |trouble: Option<String>| if trouble.is_none() { "healthy" } else { "unavailable" };
    let temporal = app.engine.cluster_trouble().map(|trouble| Check { status: word(trouble) });
    let checks = Checks { database: Check { status: database }, temporal };
    let view = HealthView { status, version: VERSION, checks };
    if health != Health::DatabaseAway {
        return Ok(Reply::ok(&view));
    }
    let issue = FieldIssue::new("database", "does not answer");
    let problem = Problem::new(Code::ServiceUnavailable, "The database does not answer");
    Err(problem.with_details(vec![issue]).with_data(&view))
}

/// The same under `/api`
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "Server",
    responses(
        (status = 200, description = "It works; `degraded` where runs wait for their cluster", body = One<HealthView>),
        (status = 503, description = "The database does not answer; `data` says so beside `error`", body = One<HealthView>),
    ),
)]
async fn api_health(state: State<Arc<App>>) -> Result<Reply, Problem> {
    health(state).await
}
