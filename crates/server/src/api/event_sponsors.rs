//! `/api/v1/events/{id}/sponsors`: the sponsors of an event.
//!
//! Invariant: the event is looked for before a body is read.
//! Not here: the rules (`app::relations`).

use super::events::Target;
use crate::app::relations::{self as use_case, Scene};
use crate::face::body::{Body, Json};
use crate::face::caller::{Caller, Can, ReadEvents, WriteEvents};
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
use openevent_domain::ambient::Millis;
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::event::Event;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change, delete))
}

fn scene<'a>(app: &'a App, caller: &'a Caller, event: &'a Event, now: Millis) -> Scene<'a> {
    Scene { app, caller, event, side: Side::Sponsor, now }
}

/// What is agreed with a sponsor. A PATCH takes any of it; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = EventSponsorTerms)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct RelationBody {
    /// `inquiry`, `negotiating`, `confirmed` or `declined`. Forward, from `confirmed` to `declined`, from `declined` to `inquiry`.
    status: Option<String>,
    tier: Option<String>,
    /// At most three decimals, in the event's currency.
    amount: Option<f64>,
    /// What they get for it.
    benefits: Option<String>,
    notes: Option<String>,
}

/// A new relation to a sponsor.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = NewEventSponsor)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct NewRelationBody {
    /// An approved sponsor of the directory.
    sponsor_id: String,
    #[serde(flatten)]
    terms: RelationBody,
}

/// A relation to a sponsor.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = EventSponsor)]
#[expect(dead_code, reason = "documents the answer")]
struct RelationView {
    id: String,
    event_id: String,
    sponsor_id: String,
    /// As the directory has it now.
    sponsor_name: String,
    #[serde(flatten)]
    terms: RelationBody,
    status_changed_at: i64,
    /// The application that was decided last.
    application_id: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// Lists the sponsors of an event
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/sponsors",
    tag = "Event sponsors",
    params(
        ("id" = String, Path, description = "The event's id"),
        Page,
        ("status" = Option<String>, Query, description = "`inquiry`, `negotiating`, `confirmed` or `declined`"),
    ),
    responses((status = 200, description = "Relations", body = Many<RelationView>)),
    security(("apiKey" = ["events:read"])),
)]
async fn list(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Moment(now): Moment,
    list: List,
) -> Result<Reply, Problem> {
    use_case::list(&scene(&app, &caller, &event.event, now), &list).await
}

/// Relates an event to a sponsor of the directory
///
/// Raises `sponsor.confirmed` or `sponsor.declined` when it is that from the start. There is one relation for a pair.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/sponsors",
    tag = "Event sponsors",
    params(("id" = String, Path, description = "The event's id")),
    request_body = NewRelationBody,
    responses((status = 201, description = "The relation", body = One<RelationView>)),
    security(("apiKey" = ["events:write"])),
)]
async fn create(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&scene(&app, &caller, &event.event, now), body, guard).await
}

/// Reads a relation
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/sponsors/{relation_id}",
    tag = "Event sponsors",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("relation_id" = String, Path, description = "The relation's id"),
    ),
    responses((status = 200, description = "The relation", body = One<RelationView>)),
    security(("apiKey" = ["events:read"])),
)]
async fn get(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
) -> Result<Reply, Problem> {
    use_case::get(&scene(&app, &caller, &event.event, now), &id).await
}

/// Changes a relation
///
/// Raises `sponsor.confirmed` and `sponsor.declined` when it becomes that.
#[utoipa::path(
    patch,
    path = "/api/v1/events/{id}/sponsors/{relation_id}",
    tag = "Event sponsors",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("relation_id" = String, Path, description = "The relation's id"),
    ),
    request_body = RelationBody,
    responses((status = 200, description = "The relation as it is now", body = One<RelationView>)),
    security(("apiKey" = ["events:write"])),
)]
async fn change(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::change(&scene(&app, &caller, &event.event, now), &id, body, &if_match).await
}

/// Deletes a relation
/// Nothing is told of it.
#[utoipa::path(
    delete,
    path = "/api/v1/events/{id}/sponsors/{relation_id}",
    tag = "Event sponsors",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("relation_id" = String, Path, description = "The relation's id"),
    ),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["events:write"])),
)]
async fn delete(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&scene(&app, &caller, &event.event, now), &id, &if_match).await
}
