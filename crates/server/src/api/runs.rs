//! `/api/v1/runs`: what ran, what runs, and steering it.
//!
//! Invariant: steering is asked of the engine and answered after its commit.
//! Not here: starting by hand (see `workflows`).

use crate::app::runs as use_case;
use crate::face::body::Nothing;
use crate::face::caller::{Can, ReadRuns, WriteRuns};
use crate::face::endpoint::routes;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use openevent_engine::Control;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(suspend))
        .routes(routes!(resume))
        .routes(routes!(retry))
}

/// A run.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct RunView {
    id: String,
    workflow: RunWorkflow,
    /// pending, running, waiting, suspended, cancelled, faulted or completed.
    status: String,
    /// The signal that started it.
    event_id: Option<String>,
    /// Its raw input; for a run started by a signal, the array of CloudEvents. Only where one run is shown.
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
    /// Why it faulted, as RFC 7807.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    started_at: i64,
    /// When its workflow's flow control let it begin.
    begun_at: Option<i64>,
    ended_at: Option<i64>,
    /// The run that started it.
    parent: Option<RunParent>,
    /// How often it was retried.
    retries: Option<i64>,
    /// In starting order. Only where one run is shown.
    tasks: Option<Vec<TaskView>>,
    /// How many ended tasks of a long run are no longer shown.
    tasks_omitted: Option<u64>,
}

/// The run that started a run.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
pub struct RunParent {
    id: String,
    /// How many runs are above, from 1.
    depth: i64,
}

/// Which workflow a run is of.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
pub struct RunWorkflow {
    namespace: String,
    name: String,
    version: String,
}

/// One task of a run.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct TaskView {
    name: String,
    /// JSON pointer into the definition, such as `/do/0/name`.
    reference: String,
    status: String,
    attempts: u32,
    started_at: i64,
    ended_at: Option<i64>,
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
}

/// Lists runs
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/runs",
    tag = "Runs",
    params(
        Page,
        ("status" = Option<String>, Query, description = "Only this phase"),
        ("workflow" = Option<String>, Query, description = "Only this workflow: `name` or `namespace/name`"),
        ("eventId" = Option<String>, Query, description = "Only those this signal started"),
    ),
    responses((status = 200, description = "Runs", body = Many<RunView>)),
    security(("apiKey" = ["runs:read"])),
)]
async fn list(caller: Can<ReadRuns>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &list).await
}

/// Reads a run with its tasks
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, description = "The run", body = One<RunView>)),
    security(("apiKey" = ["runs:read"])),
)]
async fn get(
    caller: Can<ReadRuns>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    Ok(Reply::ok(&use_case::show(&app, &caller.tenant, &id).await?).tagged())
}

/// Ends a run early
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/cancel",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, description = "The run, cancelled", body = One<RunView>)),
    security(("apiKey" = ["runs:write"])),
)]
async fn cancel(
    caller: Can<WriteRuns>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::steer(&app, &caller, &id, Control::Cancel, guard, now).await
}

/// Pauses a run
///
/// What is under way ends; what it answers is kept; nothing new begins until the run is resumed.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/suspend",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, description = "The run, suspended", body = One<RunView>)),
    security(("apiKey" = ["runs:write"])),
)]
async fn suspend(
    caller: Can<WriteRuns>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::steer(&app, &caller, &id, Control::Suspend, guard, now).await
}

/// Lets a suspended run go on
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/resume",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, description = "The run, going on", body = One<RunView>)),
    security(("apiKey" = ["runs:write"])),
)]
async fn resume(
    caller: Can<WriteRuns>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::steer(&app, &caller, &id, Control::Resume, guard, now).await
}

/// Lets a faulted run go on
///
/// From what failed: tasks that were done are not done again; the one that failed begins again with the same input.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/retry",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, description = "The run, going on", body = One<RunView>)),
    security(("apiKey" = ["runs:write"])),
)]
async fn retry(
    caller: Can<WriteRuns>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path(id): Path<String>,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::retry(&app, &caller, &id, guard, now).await
}
