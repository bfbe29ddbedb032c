//! `/api/v1/events`: planned events. Making one is in `signals`, where the path with two meanings is.
//!
//! Invariant: a path that ends in `.ics` is the calendar of what the path without it shows.
//! Not here: the rules (`app::events`).

use crate::app::{calendar, events as use_case};
use crate::face::body::{Body, Json, MaybeJson};
use crate::face::caller::{Anyone, Can, DeleteEvents, ReadEvents, WriteEvents};
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
use openevent_domain::planning::calendar::Reader;
use openevent_store::planning::events::{Audience, EventRecord};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(feed))
        .routes(routes!(get, change, delete))
        .routes(routes!(clone))
}

/// The event a path names, found before a body is read.
pub(super) struct Target(pub(super) EventRecord);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        #[derive(serde::Deserialize)]
        struct Named {
            id: String,
        }
        let caller = Anyone::from_request_parts(parts, app).await?;
        let named = Path::<Named>::from_request_parts(parts, app).await;
        let Path(Named { id }) = named.map_err(|_| Problem::not_found("Event"))?;
        use_case::find(app, &caller.tenant, &id).await.map(Self)
    }
}

/// What an event is made of. A PATCH takes any of it; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
pub struct EventBody {
    /// At most 200 characters.
    #[schema(example = "Tech Conference 2025")]
    title: String,
    /// Unix milliseconds.
    #[schema(example = 1_735_689_600_000_i64)]
    start_date: i64,
    /// At most 10 000 characters.
    description: Option<String>,
    /// Unix milliseconds, not before `startDate`.
    end_date: Option<i64>,
    /// IANA.
    #[schema(example = "America/New_York")]
    timezone: Option<String>,
    /// A new event is `draft` (the default), `planning` or `active`.
    #[schema(example = "draft")]
    status: Option<String>,
    /// `conference`, `hackathon`, `workshop`, `meetup`, …
    event_type: Option<String>,
    /// `in-person`, `virtual` or `hybrid`.
    location_type: Option<String>,
    venue_name: Option<String>,
    venue_address: Option<String>,
    /// A URL.
    virtual_platform: Option<String>,
    expected_attendees: Option<i64>,
    /// At most three decimals; as a number, or as its digits in a text.
    #[schema(value_type = Option<f64>)]
    budget: Option<Value>,
    /// ISO 4217.
    #[schema(example = "USD")]
    budget_currency: Option<String>,
    is_public: Option<bool>,
    seeking_vendors: Option<bool>,
    seeking_sponsors: Option<bool>,
    vendor_categories: Option<Vec<String>>,
    sponsor_benefits: Option<String>,
    /// Any members, at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    requirements: Option<Value>,
    public_visibility: Option<PublicVisibility>,
}

/// What the public sees of a public event; switches that are not mentioned stay as they are.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, clippy::struct_field_names, reason = "documents the body; the names are the API's")]
pub struct PublicVisibility {
    show_budget: Option<bool>,
    show_attendees: Option<bool>,
    show_venue: Option<bool>,
    show_requirements: Option<bool>,
}

/// An event.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Event)]
#[expect(dead_code, reason = "documents the answer")]
pub struct EventView {
    id: String,
    /// `draft`, `planning`, `active`, `completed` or `cancelled`.
    status: String,
    /// When it became so, unless it is a draft still.
    status_changed_at: Option<i64>,
    /// What a cancelled event was before.
    cancelled_from: Option<String>,
    #[serde(flatten)]
    body: EventBody,
    created_by: String,
    created_at: i64,
    updated_at: i64,
}

/// How an event is copied.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct CloneBody {
    /// The copy's title; without it, the same.
    title: Option<String>,
    /// When the copy starts; it is as long as the first.
    start_date: Option<i64>,
    /// How many days later (or earlier) it is, at the same time of the day by the clocks of its time zone.
    shift_days: Option<i64>,
    /// What is copied with it: `tasks` (nothing done yet, due as much later) and `budget` (nothing paid yet).
    copy: Option<Vec<String>>,
}

/// The filters of a list of events.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the parameters; the use case reads them")]
pub(super) struct Filters {
    /// `draft`, `planning`, `active`, `completed`, `cancelled` or `all`.
    status: Option<String>,
    event_type: Option<String>,
    /// `in-person`, `virtual` or `hybrid`.
    location_type: Option<String>,
    is_public: Option<bool>,
    seeking_vendors: Option<bool>,
    seeking_sponsors: Option<bool>,
    /// Starting at or after, Unix milliseconds.
    from: Option<i64>,
    /// Starting at or before, Unix milliseconds.
    to: Option<i64>,
    /// Words in title, description or type; the beginnings of words are enough, case and accents do not matter.
    search: Option<String>,
}

/// Lists events
///
/// Newest first; found by their title first when searched.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "Events",
    params(
        Page,
        Filters,
        ("sort" = Option<String>, Query, description = "`createdAt`, `startDate`, `updatedAt` or `title`; `-` before it turns it round"),
    ),
    responses((status = 200, description = "Events", body = Many<EventView>)),
    security(("apiKey" = ["events:read"])),
)]
async fn list(caller: Can<ReadEvents>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &list).await
}

/// Gives all events as a calendar
///
/// At most 1000, those that start last. UIDs never change, so calendars that subscribe follow every change.
#[utoipa::path(
    get,
    path = "/api/v1/events.ics",
    tag = "Events",
    params(Filters),
    responses((status = 200, description = "A calendar", content_type = "text/calendar", body = String)),
    security(("apiKey" = ["events:read"])),
)]
async fn feed(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, Problem> {
    let filter = use_case::filter(&params)?;
    calendar::feed(&app, Audience::Members(caller.tenant.clone()), filter).await
}

/// Reads an event
///
/// With `.ics` behind its id it is a calendar.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    tag = "Events",
    params(("id" = String, Path, description = "The event's id, perhaps with `.ics`")),
    responses((status = 200, description = "The event", body = One<EventView>)),
    security(("apiKey" = ["events:read"])),
)]
async fn get(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    match id.strip_suffix(calendar::SUFFIX) {
        Some(id) => {
            let record = use_case::find(&app, &caller.tenant, id).await?;
            Ok(calendar::one(record.event, Reader::Member))
        }
        None => Ok(use_case::get(&app, &caller.tenant, &id).await?.into_response()),
    }
}

/// Changes an event
///
/// All of it or nothing. Raises `event.updated`, and `event.status_changed` when the status moved; what changes
/// nothing raises nothing.
#[utoipa::path(
    patch,
    path = "/api/v1/events/{id}",
    tag = "Events",
    params(("id" = String, Path, description = "The event's id")),
    request_body = EventBody,
    responses((status = 200, description = "The event as it is now", body = One<EventView>)),
    security(("apiKey" = ["events:write"])),
)]
async fn change(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Target(record): Target,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::change(&app, &caller, record, body, &if_match, now).await
}

/// Deletes an event
///
/// With all that hangs on it.
#[utoipa::path(
    delete,
    path = "/api/v1/events/{id}",
    tag = "Events",
    params(("id" = String, Path, description = "The event's id")),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["events:delete"])),
)]
async fn delete(
    caller: Can<DeleteEvents>,
    State(app): State<Arc<App>>,
    Target(record): Target,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, record, &if_match, now).await
}

/// Copies an event
///
/// The copy is a draft.
#[utoipa::path(
    post,
    path = "/api/v1/events/{id}/clone",
    tag = "Events",
    params(("id" = String, Path, description = "The event's id")),
    request_body = CloneBody,
    responses((status = 201, description = "The copy", body = One<EventView>)),
    security(("apiKey" = ["events:write"])),
)]
async fn clone(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Target(record): Target,
    Moment(now): Moment,
    Once { body: MaybeJson(body), guard }: Once<MaybeJson>,
) -> Result<Reply, Problem> {
    use_case::clone(&app, &caller, record.event, body, guard, now).await
}
