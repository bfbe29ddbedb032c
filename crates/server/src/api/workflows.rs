//! `/api/v1/workflows`: definitions in, definitions out, runs by hand.
//!
//! Invariant: a definition is taken as it was written, YAML or JSON, so that its author reads it back.
//! Not here: the rules (`app::workflows`, `app::runs`).

use crate::app::runs;
use crate::app::workflows::{self as use_case, LiveRuns, Unsupported};
use crate::face::body::{self, Body, Decode, Sent, is_json};
use crate::face::caller::{Can, ReadWorkflows, WriteRuns, WriteWorkflows};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use openevent_engine::Workflow;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;

const YAML: [&str; 4] = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(validate))
        .routes(routes!(get, put, delete))
        .routes(routes!(validate_named))
        .routes(routes!(start))
}

/// A workflow.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct WorkflowView {
    /// `namespace/name`.
    id: String,
    namespace: String,
    name: String,
    version: String,
    title: Option<String>,
    summary: Option<String>,
    /// The signal names its trigger names.
    listens_to: Vec<String>,
    /// `api` or `file`.
    origin: String,
    created_at: i64,
    updated_at: i64,
    /// When the clock starts it next, if its schedule says so and it waits for no run. Only where one workflow is shown.
    next_run_at: Option<i64>,
    /// All versions, the current one last. Only where one workflow is shown.
    versions: Option<Vec<String>>,
    /// The definition as JSON. Only where one workflow is shown.
    #[schema(value_type = Option<Object>)]
    definition: Option<Value>,
    /// The definition as it was given. Only where one workflow is shown.
    source: Option<String>,
}

/// What starts a run by hand.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub struct StartBody {
    /// The run's raw input; `{}` when absent.
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
}

/// A definition's text.
struct Source(String);

impl Decode for Source {
    fn takes(kind: &str) -> bool {
        YAML.contains(&kind) || is_json(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        let text = String::from_utf8(sent.bytes.to_vec())
            .map_err(|_| Problem::bad_request("The definition is not UTF-8"))?;
        if text.trim().is_empty() {
            return Err(Problem::bad_request("The body is empty; send a workflow definition"));
        }
        Ok(Self(text))
    }
}

/// The body that starts a run: `{input}`, or nothing at all.
struct Start(Value);

impl Decode for Start {
    fn takes(kind: &str) -> bool {
        is_json(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        let empty = || Self(Value::Object(serde_json::Map::new()));
        if sent.bytes.is_empty() {
            return Ok(empty());
        }
        match body::json(&sent.bytes)? {
            Value::Object(mut fields) => Ok(fields.remove("input").map_or_else(empty, Self)),
            _ => Err(Problem::field("body", "must be a JSON object")),
        }
    }
}

/// What is to be started, and how long the caller waits: known before the body is read.
struct Target {
    workflow: Arc<Workflow>,
    wait: Option<Duration>,
}

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let refused = IntoResponse::into_response;
        let caller = Can::<WriteRuns>::from_request_parts(parts, app).await.map_err(refused)?;
        let Path((namespace, name)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let params = Params::of(parts.uri.query().unwrap_or(""));
        let workflow =
            use_case::find(app, &caller.tenant, (&namespace, &name), version(&params)).map_err(refused)?;
        let wait = runs::wait(params.get("wait")).map_err(refused)?;
        Ok(Self { workflow, wait })
    }
}

fn version(params: &Params) -> Option<&str> {
    params.get("version")
}

/// Lists workflows
///
/// The current version of each, by namespace and name.
#[utoipa::path(
    get,
    path = "/api/v1/workflows",
    tag = "Workflows",
    params(Page, ("namespace" = Option<String>, Query, description = "Only this namespace")),
    responses((status = 200, description = "Workflows", body = Many<WorkflowView>)),
    security(("apiKey" = ["workflows:read"])),
)]
async fn list(caller: Can<ReadWorkflows>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &list)
}

/// Checks a definition
///
/// Answers what is wrong with line, column, path and reason, and what this server does not offer as warnings.
#[utoipa::path(
    post,
    path = "/api/v1/workflows/validate",
    tag = "Workflows",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, description = "It is valid", body = One<Object>)),
    security(("apiKey" = ["workflows:write"])),
)]
async fn validate(
    caller: Can<WriteWorkflows>,
    State(app): State<Arc<App>>,
    Once { body: Source(source), .. }: Once<Source>,
) -> Result<Reply, Problem> {
    use_case::validate(&app, &caller.tenant, &source).await
}

/// Checks a definition for this name
#[utoipa::path(
    post,
    path = "/api/v1/workflows/{namespace}/{name}/validate",
    tag = "Workflows",
    params(("namespace" = String, Path), ("name" = String, Path)),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, description = "It is valid", body = One<Object>)),
    security(("apiKey" = ["workflows:write"])),
)]
async fn validate_named(
    caller: Can<WriteWorkflows>,
    State(app): State<Arc<App>>,
    Path(_): Path<(String, String)>,
    Once { body: Source(source), .. }: Once<Source>,
) -> Result<Reply, Problem> {
    use_case::validate(&app, &caller.tenant, &source).await
}

/// Reads a workflow
#[utoipa::path(
    get,
    path = "/api/v1/workflows/{namespace}/{name}",
    tag = "Workflows",
    params(
        ("namespace" = String, Path),
        ("name" = String, Path),
        ("version" = Option<String>, Query, description = "This version; the current one when absent"),
    ),
    responses((status = 200, description = "The workflow", body = One<WorkflowView>)),
    security(("apiKey" = ["workflows:read"])),
)]
async fn get(
    caller: Can<ReadWorkflows>,
    State(app): State<Arc<App>>,
    Path((namespace, name)): Path<(String, String)>,
    params: Params,
) -> Result<Reply, Problem> {
    use_case::show(&app, &caller.tenant, (&namespace, &name), version(&params)).await
}

/// Puts a workflow
///
/// YAML or JSON. The version is the document's; putting a version again replaces it for new runs, and runs
/// keep the definition they began with.
#[utoipa::path(
    put,
    path = "/api/v1/workflows/{namespace}/{name}",
    tag = "Workflows",
    params(
        ("namespace" = String, Path),
        ("name" = String, Path),
        ("allowUnsupported" = Option<bool>, Query, description = "Put it although a task is not offered here; that task then faults"),
    ),
    request_body(content = String, content_type = "application/yaml"),
    responses(
        (status = 200, description = "Replaced", body = One<WorkflowView>),
        (status = 201, description = "New", body = One<WorkflowView>),
    ),
    security(("apiKey" = ["workflows:write"])),
)]
async fn put(
    caller: Can<WriteWorkflows>,
    State(app): State<Arc<App>>,
    Path((namespace, name)): Path<(String, String)>,
    params: Params,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Source(source)): Body<Source>,
) -> Result<Reply, Problem> {
    let unsupported = match params.flag("allowUnsupported")? {
        Some(true) => Unsupported::Allowed,
        _ => Unsupported::Refused,
    };
    use_case::put(&app, &caller, (&namespace, &name), source, unsupported, &if_match, now).await
}

/// Removes a workflow
///
/// All versions, or the one asked for. Refused with 409 while runs of it have not ended, unless `?force=true`: then
/// they go on with the definition they began with.
#[utoipa::path(
    delete,
    path = "/api/v1/workflows/{namespace}/{name}",
    tag = "Workflows",
    params(
        ("namespace" = String, Path),
        ("name" = String, Path),
        ("version" = Option<String>, Query, description = "Only this version"),
        ("force" = Option<bool>, Query, description = "Remove it although runs of it have not ended"),
    ),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["workflows:write"])),
)]
async fn delete(
    caller: Can<WriteWorkflows>,
    State(app): State<Arc<App>>,
    Path((namespace, name)): Path<(String, String)>,
    params: Params,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    let live_runs = match params.flag("force")? {
        Some(true) => LiveRuns::LetGo,
        _ => LiveRuns::Keep,
    };
    let path = (namespace.as_str(), name.as_str());
    use_case::delete(&app, &caller, path, version(&params), live_runs, &if_match, now).await
}

/// Starts a run by hand
///
/// With `?wait=30s` the answer comes when the run has ended (200), or shows it as it stands (202).
#[utoipa::path(
    post,
    path = "/api/v1/workflows/{namespace}/{name}/runs",
    tag = "Runs",
    params(
        ("namespace" = String, Path),
        ("name" = String, Path),
        ("version" = Option<String>, Query, description = "This version; the current one when absent"),
        ("wait" = Option<String>, Query, description = "How long to wait for the end, such as 30s; at most 60s"),
    ),
    request_body = Option<StartBody>,
    responses(
        (status = 201, description = "Started", body = One<super::runs::RunView>),
        (status = 200, description = "It has ended", body = One<super::runs::RunView>),
        (status = 202, description = "It goes on", body = One<super::runs::RunView>),
    ),
    security(("apiKey" = ["runs:write"])),
)]
async fn start(
    caller: Can<WriteRuns>,
    State(app): State<Arc<App>>,
    Target { workflow, wait }: Target,
    Moment(now): Moment,
    Once { body: Start(input), guard }: Once<Start>,
) -> Result<Reply, Problem> {
    runs::start(&app, &caller, &workflow, input, wait, guard, now).await
}
