//! `/api/v1/public`: what everybody may read, without a key.
//!
//! Invariant: nothing here asks who calls; calls count against the caller's address.
//! Not here: the rules (`app::public`, `app::directory`).

use crate::api::vendors::VendorView;
use crate::app::directory::{self, Viewer};
use crate::app::{calendar, public as use_case};
use crate::face::endpoint::routes;
use crate::face::list::List;
use crate::face::openapi::{Many, One, Page};
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use openevent_domain::planning::calendar::Reader;
use openevent_domain::planning::directory::Side;
use openevent_store::planning::events::Audience;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(events))
        .routes(routes!(feed))
        .routes(routes!(event))
        .routes(routes!(vendors))
        .routes(routes!(categories))
}

/// A public event. What its organisers hide is left out.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = PublicEvent)]
#[expect(dead_code, reason = "documents the answer")]
struct EventView {
    id: String,
    /// `planning` or `active`.
    status: String,
    title: String,
    description: Option<String>,
    start_date: i64,
    end_date: Option<i64>,
    timezone: Option<String>,
    event_type: Option<String>,
    location_type: Option<String>,
    seeking_vendors: bool,
    seeking_sponsors: bool,
    vendor_categories: Option<Vec<String>>,
    sponsor_benefits: Option<String>,
    /// With `showVenue`, as are `venueAddress` and `virtualPlatform`.
    venue_name: Option<String>,
    venue_address: Option<String>,
    virtual_platform: Option<String>,
    /// With `showAttendees`.
    expected_attendees: Option<i64>,
    /// With `showBudget`, as is `budgetCurrency`.
    budget: Option<f64>,
    budget_currency: Option<String>,
    /// With `showRequirements`.
    #[schema(value_type = Option<Object>)]
    requirements: Option<Value>,
}

/// The filters of the public list of events.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the parameters; the use case reads them")]
struct Filters {
    event_type: Option<String>,
    /// `in-person`, `virtual` or `hybrid`.
    location_type: Option<String>,
    seeking_vendors: Option<bool>,
    seeking_sponsors: Option<bool>,
    /// Words in title, description or type.
    search: Option<String>,
    /// `planning` or `active`.
    status: Option<String>,
    /// Starting at or after, Unix milliseconds.
    from: Option<i64>,
    /// Starting at or before, Unix milliseconds.
    to: Option<i64>,
}

/// Lists public events
///
/// Those that are planned or active and want to be seen.
#[utoipa::path(
    get,
    path = "/api/v1/public/events",
    tag = "Public",
    params(
        Page,
        Filters,
        ("sort" = Option<String>, Query, description = "`createdAt`, `startDate`, `updatedAt` or `title`; `-` before it turns it round"),
    ),
    responses((status = 200, description = "Events", body = Many<EventView>)),
)]
async fn events(State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::events(&app, &list).await
}

/// Gives public events as a calendar
///
/// At most 1000, those that start last.
#[utoipa::path(
    get,
    path = "/api/v1/public/events.ics",
    tag = "Public",
    params(Filters),
    responses((status = 200, description = "A calendar", content_type = "text/calendar", body = String)),
)]
async fn feed(State(app): State<Arc<App>>, params: Params) -> Result<Response, Problem> {
    calendar::feed(&app, Audience::Public, use_case::filters(&params)?).await
}

/// Reads a public event
///
/// With `.ics` behind its id it is a calendar.
#[utoipa::path(
    get,
    path = "/api/v1/public/events/{id}",
    tag = "Public",
    params(("id" = String, Path, description = "The event's id, perhaps with `.ics`")),
    responses((status = 200, description = "The event", body = One<EventView>)),
)]
async fn event(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    match id.strip_suffix(calendar::SUFFIX) {
        Some(id) => Ok(calendar::one(use_case::event(&app, id).await?, Reader::Public)),
        None => Ok(use_case::reply(use_case::event(&app, &id).await?).into_response()),
    }
}

/// Lists approved vendors
///
/// Without their contacts.
#[utoipa::path(
    get,
    path = "/api/v1/public/vendors",
    tag = "Public",
    params(
        Page,
        ("category" = Option<String>, Query, description = "Only this category"),
        ("search" = Option<String>, Query, description = "Words in name or description"),
    ),
    responses((status = 200, description = "Vendors", body = Many<VendorView>)),
)]
async fn vendors(State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    directory::list(&app, Side::Vendor, Viewer::Public, &list).await
}

/// Lists the categories of vendors
#[utoipa::path(
    get,
    path = "/api/v1/public/vendors/categories",
    tag = "Public",
    responses((status = 200, description = "By name", body = One<Vec<String>>)),
)]
async fn categories(State(app): State<Arc<App>>) -> Result<Reply, Problem> {
    directory::groups(&app, Side::Vendor).await
}
