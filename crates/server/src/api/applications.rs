//! `/api/v1/events/{id}/applications` and the public intake: who wants to come, and who may.
//!
//! Invariant: what is under `/public` asks for no key and is limited per address; the rest asks for the event first.
//! Not here: the rules (`app::applications`).

use super::events::Target;
use super::sponsors::SponsorBody;
use super::vendors::VendorBody;
use crate::app::applications as use_case;
use crate::face::body::{Body, Json};
use crate::face::caller::{Can, Origin, ReadEvents, WriteEvents};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use openevent_domain::planning::directory::Side;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get, decide))
        .routes(routes!(apply))
        .routes(routes!(vendor))
        .routes(routes!(sponsor))
        .routes(routes!(status))
}

/// An application to an event.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = NewApplication)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct ApplicationBody {
    /// `vendor` or `sponsor`.
    applicant_type: String,
    /// Their approved entry of the directory.
    applicant_id: String,
    /// At most 5000 characters.
    message: Option<String>,
    /// What a vendor asks for, or a sponsor gives. At most three decimals, in the event's currency.
    proposed_budget: Option<f64>,
    /// What a sponsor gives for.
    proposed_tier: Option<String>,
    contact_name: String,
    contact_email: String,
}

/// An application as organisers see it.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Application)]
#[expect(dead_code, reason = "documents the answer")]
struct ApplicationView {
    id: String,
    event_id: String,
    #[serde(flatten)]
    body: ApplicationBody,
    applicant_name: String,
    /// Whether it came from the e-mail address of the directory's entry. Nobody checked that they can read it.
    verified: bool,
    /// `pending`, `under_review`, `accepted` or `rejected`.
    status: String,
    rejection_reason: Option<String>,
    decided_at: Option<i64>,
    /// The relation it was decided to.
    relation_id: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// What becomes of an application.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Decision)]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct DecisionBody {
    /// `under_review`, `accepted` or `rejected`.
    status: String,
    /// For the applicant to read. At most 5000 characters.
    rejection_reason: Option<String>,
}

/// What an applicant gets.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = ApplicationReceipt)]
#[expect(dead_code, reason = "documents the answer")]
struct ReceiptView {
    id: String,
    /// Names the application where its status is read. Shown once.
    status_token: String,
    /// `pending`.
    status: String,
}

/// What an applicant sees of their application.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = ApplicationStatus)]
#[expect(dead_code, reason = "documents the answer")]
struct StatusView {
    id: String,
    /// `vendor` or `sponsor`.
    applicant_type: String,
    applicant_id: String,
    applicant_name: String,
    /// Absent when the application is to the directory, as is `eventTitle`.
    event_id: Option<String>,
    event_title: Option<String>,
    /// `pending`, `under_review`, `accepted` or `rejected`; in the directory `pending`, `approved` or `rejected`.
    status: String,
    rejection_reason: Option<String>,
    decided_at: Option<i64>,
    created_at: i64,
}

/// Lists the applications to an event
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/applications",
    tag = "Applications",
    params(
        ("id" = String, Path, description = "The event's id"),
        Page,
        ("status" = Option<String>, Query, description = "`pending`, `under_review`, `accepted` or `rejected`"),
        ("applicantType" = Option<String>, Query, description = "`vendor` or `sponsor`"),
    ),
    responses((status = 200, description = "Applications", body = Many<ApplicationView>)),
    security(("apiKey" = ["events:read"])),
)]
async fn list(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    list: List,
) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &event.event.id, &list).await
}

/// Reads an application
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/applications/{application_id}",
    tag = "Applications",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("application_id" = String, Path, description = "The application's id"),
    ),
    responses((status = 200, description = "The application", body = One<ApplicationView>)),
    security(("apiKey" = ["events:read"])),
)]
async fn get(
    caller: Can<ReadEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller.tenant, &event.event.id, &id).await
}

/// Takes an application up, or decides it
///
/// Accepted, the applicant is confirmed for the event; rejected, declined: `vendor.confirmed`, `vendor.declined` and
/// the same of sponsors are raised by that. It is decided once.
#[utoipa::path(
    patch,
    path = "/api/v1/events/{id}/applications/{application_id}",
    tag = "Applications",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("application_id" = String, Path, description = "The application's id"),
    ),
    request_body = DecisionBody,
    responses((status = 200, description = "The application as it is now", body = One<ApplicationView>)),
    security(("apiKey" = ["events:write"])),
)]
async fn decide(
    caller: Can<WriteEvents>,
    State(app): State<Arc<App>>,
    Target(event): Target,
    Path((_, id)): Path<(String, String)>,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::decide(&app, &caller, &event.event, &id, body, &if_match, now).await
}

/// Applies to a public event
///
/// It has to be planned or active, and to seek such applicants. Raises `vendor.applied` or `sponsor.applied` in the
/// event's project. Few calls an hour are taken from one address.
#[utoipa::path(
    post,
    path = "/api/v1/public/events/{id}/applications",
    tag = "Public",
    params(("id" = String, Path, description = "The event's id")),
    request_body = ApplicationBody,
    responses((status = 201, description = "Taken in", body = One<ReceiptView>)),
)]
async fn apply(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    origin: Origin,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::apply(&app, &id, body, guard, &origin, now).await
}

/// Applies to the directory as a vendor
///
/// The entry is shown once an admin approved it. Few calls an hour are taken from one address.
#[utoipa::path(
    post,
    path = "/api/v1/public/applications/vendor",
    tag = "Public",
    request_body = VendorBody,
    responses((status = 201, description = "Taken in", body = One<ReceiptView>)),
)]
async fn vendor(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    origin: Origin,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::enrol(&app, Side::Vendor, body, guard, &origin, now).await
}

/// Applies to the directory as a sponsor
///
/// The entry is shown once an admin approved it. Few calls an hour are taken from one address.
#[utoipa::path(
    post,
    path = "/api/v1/public/applications/sponsor",
    tag = "Public",
    request_body = SponsorBody,
    responses((status = 201, description = "Taken in", body = One<ReceiptView>)),
)]
async fn sponsor(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    origin: Origin,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::enrol(&app, Side::Sponsor, body, guard, &origin, now).await
}

/// Shows an applicant how far their application is
#[utoipa::path(
    get,
    path = "/api/v1/public/applications/{token}",
    tag = "Public",
    params(("token" = String, Path, description = "The `statusToken` of the answer to the application")),
    responses((status = 200, description = "How far it is", body = One<StatusView>)),
)]
async fn status(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Reply, Problem> {
    use_case::status(&app, &token).await
}
