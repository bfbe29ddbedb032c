//! `/api/v1/event-types`: the catalogue of signal names.
//!
//! Invariant: names may hold `/`, so a name is the rest of the path.
//! Not here: the rules (`app::event_types`).

use crate::app::event_types::{self as use_case, DESCRIPTION_CHARS_MAX, Draft, EventTypeView, Put};
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
use openevent_domain::signal::SignalName;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// What a PUT takes.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct EventTypeBody {
    /// What the signal means, at most 1000 characters.
    description: Option<String>,
    /// JSON Schema (2020-12) of the payload; it must not refer to other documents.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// A payload to copy; it must satisfy the schema.
    #[schema(value_type = Option<Object>)]
    example: Option<Value>,
}

/// Lists the catalogue
///
/// By name. The twelve names the server itself sends are always there.
#[utoipa::path(
    get,
    path = "/api/v1/event-types",
    tag = "Event types",
    params(Page),
    responses((status = 200, description = "Event types", body = Many<EventTypeView>)),
    security(("apiKey" = ["workflows:read"])),
)]
async fn list(caller: Can<ReadWorkflows>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    list.slice(&use_case::list(&app, &caller.tenant).await?, |event_type| event_type.name.clone())
}

/// Reads an event type
#[utoipa::path(
    get,
    path = "/api/v1/event-types/{*name}",
    tag = "Event types",
    params(("name" = String, Path, description = "The signal name", example = "order.created")),
    responses((status = 200, description = "The event type", body = One<EventTypeView>)),
    security(("apiKey" = ["workflows:read"])),
)]
async fn get(
    caller: Can<ReadWorkflows>,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Reply, Problem> {
    Ok(Reply::ok(&use_case::get(&app, &caller.tenant, &name).await?).tagged())
}

/// Describes a signal name
///
/// With a schema, signals of this name are refused unless their payload satisfies it.
#[utoipa::path(
    put,
    path = "/api/v1/event-types/{*name}",
    tag = "Event types",
    params(("name" = String, Path, description = "The signal name", example = "order.created")),
    request_body = EventTypeBody,
    responses(
        (status = 200, description = "Replaced", body = One<EventTypeView>),
        (status = 201, description = "New in the catalogue", body = One<EventTypeView>),
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
    let name = SignalName::parse(&name).map_err(|bad| Problem::field("name", bad.to_string()))?;
    let put = use_case::put(&app, &caller, &name, draft(body)?, &if_match, now).await?;
    Ok(match put {
        Put::Created(view) => {
            Reply::created(format!("/api/v1/event-types/{}", name.as_str()), &view).tagged()
        }
        Put::Replaced(view) => Reply::ok(&view).tagged(),
    })
}

/// Takes a name out of the catalogue
///
/// A built-in name loses only what was put over it.
#[utoipa::path(
    delete,
    path = "/api/v1/event-types/{*name}",
    tag = "Event types",
    params(("name" = String, Path, description = "The signal name", example = "order.created")),
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

fn draft(body: Value) -> Result<Draft, Problem> {
    let mut fields = Fields::of(body)?;
    let draft = Draft {
        description: fields.text("description", DESCRIPTION_CHARS_MAX),
        schema: fields.any("schema"),
        example: fields.object("example").map(Value::Object),
    };
    if draft.schema.as_ref().is_some_and(|schema| !schema.is_object() && !schema.is_boolean()) {
        fields.refuse("schema", "must be a JSON Schema: an object");
    }
    fields.finish()?;
    Ok(draft)
}
