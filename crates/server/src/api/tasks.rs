//! `/api/v1/events/{id}/tasks`: what is to be done for an event.
//!
//! Invariant: the event is looked for before a body is read.
//! Not here: the rules (`app::tasks`).

use super::events::Target;
use crate::app::tasks as use_case;
use crate::face::body::{Body, Json};
use crate::face::caller::{Can, ReadTasks, WriteTasks};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
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
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change, delete))
}

/// What a task is made of. A PATCH takes any of it; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct TaskBody {
    /// At most 200 characters.
    title: String,
    description: Option<String>,
    category: Option<String>,
    /// `low`, `medium` (the default), `high` or `urgent`.
    priority: Option<String>,
    /// `todo` (the default), `in_progress`, `blocked` or `completed`.
    status: Option<String>,
    /// Unix milliseconds.
    due_date: Option<i64>,
    assignee: Option<String>,
    /// Tasks of the same event that have to be done before, without circles.
    blocked_by: Option<Vec<String>>,
    /// URLs, or objects with one as `url`.
    #[schema(value_type = Option<Vec<Object>>)]
    links: Option<Vec<Value>>,
}

/// A task.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Task)]
#[expect(dead_code, reason = "documents the answer")]
struct TaskView {
    id: String,
    event_id: String,
    #[serde(flatten)]
    body: TaskBody,
    completed_at: Option<i64>,
    /// `task.completed` is raised then, and never again.
    first_completed_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// Lists the tasks of an event
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/tasks",
    tag = "Tasks",
    params(
        ("id" = String, Path, description = "The event's id"),
        Page,
        ("status" = Option<String>, Query, description = "`todo`, `in_progress`, `blocked` or `completed`"),
        ("priority" = Option<String>, Query, description = "`low`, `medium`, `high` or `urgent`"),
    ),
    responses((status = 200, description = "Tasks", body = Many<TaskView>)),
    security(("apiKey" = ["tasks:read"])),
)]
async fn list(
    caller: Can<ReadTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    list: List,
) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &event.event.id, &list).await
}

/// Adds a task to an event
///
/// Raises `task.created`, and `task.completed` when it is completed already.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/tasks",
    tag = "Tasks",
    params(("id" = String, Path, description = "The event's id")),
    request_body = TaskBody,
    responses((status = 201, description = "The task", body = One<TaskView>)),
    security(("apiKey" = ["tasks:write"])),
)]
async fn create(
    caller: Can<WriteTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, event, body, guard, now).await
}

/// Reads a task
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/tasks/{task_id}",
    tag = "Tasks",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("task_id" = String, Path, description = "The task's id"),
    ),
    responses((status = 200, description = "The task", body = One<TaskView>)),
    security(("apiKey" = ["tasks:read"])),
)]
async fn get(
    caller: Can<ReadTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller.tenant, &event.event.id, &id).await
}

/// Changes a task
///
/// Raises `task.completed` when it becomes completed.
#[utoipa::path(
    patch,
    path = "/api/v1/events/{id}/tasks/{task_id}",
    tag = "Tasks",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("task_id" = String, Path, description = "The task's id"),
    ),
    request_body = TaskBody,
    responses((status = 200, description = "The task as it is now", body = One<TaskView>)),
    security(("apiKey" = ["tasks:write"])),
)]
async fn change(
    caller: Can<WriteTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::change(&app, &caller, event, &id, body, &if_match, now).await
}

/// Deletes a task
///
/// Nothing waits for it any more.
#[utoipa::path(
    delete,
    path = "/api/v1/events/{id}/tasks/{task_id}",
    tag = "Tasks",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("task_id" = String, Path, description = "The task's id"),
    ),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["tasks:write"])),
)]
async fn delete(
    caller: Can<WriteTasks>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, event, &id, &if_match, now).await
}
