//! `/api/v1/sponsors`: the sponsor directory.
//!
//! Invariant: reading needs the scope of reading sponsors, changing is an admin's.
//! Not here: the rules (`app::directory`).

use crate::app::directory::{self as use_case, Act, Viewer};
use crate::face::body::{Json, MaybeJson, Nothing};
use crate::face::caller::{Admin, Anyone, Can, ReadSponsors};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{FromRequestParts, Path, State};
use http::request::Parts;
use openevent_domain::planning::directory::Side;
use openevent_store::planning::directory::EntryRecord;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

const SIDE: Side = Side::Sponsor;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(industries))
        .routes(routes!(get, change))
        .routes(routes!(approve))
        .routes(routes!(reject))
}

/// The entry a path names, found before a body is read.
struct Target(EntryRecord);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = named.map_err(|_| Problem::not_found("Sponsor"))?;
        use_case::find(app, SIDE, &id).await.map(Self)
    }
}

/// What a sponsor is made of. A PATCH takes any of it; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
pub(super) struct SponsorBody {
    /// At most 200 characters.
    name: String,
    /// At most 100 characters.
    industry: String,
    sponsorship_tiers: Option<Vec<String>>,
    budget_min: Option<f64>,
    budget_max: Option<f64>,
    target_event_types: Option<Vec<String>>,
    target_audience: Option<String>,
    description: Option<String>,
    website: Option<String>,
    logo_url: Option<String>,
    verified: Option<bool>,
    contact_name: Option<String>,
    contact_email: Option<String>,
    contact_phone: Option<String>,
}

/// A sponsor. Contacts are for those with a key.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Sponsor)]
#[expect(dead_code, reason = "documents the answer")]
pub(super) struct SponsorView {
    id: String,
    #[serde(flatten)]
    body: SponsorBody,
    /// `approved`; admins also see `pending` and `rejected`.
    status: Option<String>,
    /// For admins.
    rejection_reason: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// Lists sponsors
///
/// Approved ones, the newest first; found by their name first when searched.
#[utoipa::path(
    get,
    path = "/api/v1/sponsors",
    tag = "Sponsors",
    params(
        Page,
        ("industry" = Option<String>, Query, description = "Only this industry"),
        ("search" = Option<String>, Query, description = "Words in name or description"),
        ("status" = Option<String>, Query, description = "For admins: `pending`, `approved`, `rejected` or `all`"),
    ),
    responses((status = 200, description = "Sponsors", body = Many<SponsorView>)),
    security(("apiKey" = ["sponsors:read"])),
)]
async fn list(caller: Can<ReadSponsors>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, SIDE, Viewer::of(&caller), &list).await
}

/// Lists the industries of sponsors
#[utoipa::path(
    get,
    path = "/api/v1/sponsors/industries",
    tag = "Sponsors",
    responses((status = 200, description = "By name", body = One<Vec<String>>)),
    security(("apiKey" = [])),
)]
async fn industries(_caller: Anyone, State(app): State<Arc<App>>) -> Result<Reply, Problem> {
    use_case::groups(&app, SIDE).await
}

/// Reads a sponsor
#[utoipa::path(
    get,
    path = "/api/v1/sponsors/{id}",
    tag = "Sponsors",
    params(("id" = String, Path, description = "The sponsor's id")),
    responses((status = 200, description = "The sponsor", body = One<SponsorView>)),
    security(("apiKey" = ["sponsors:read"])),
)]
async fn get(
    caller: Can<ReadSponsors>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    use_case::get(&app, SIDE, Viewer::of(&caller), &id).await
}

/// Adds a sponsor, to be reviewed
#[utoipa::path(
    post,
    path = "/api/v1/sponsors",
    tag = "Sponsors",
    request_body = SponsorBody,
    responses((status = 201, description = "The sponsor", body = One<SponsorView>)),
    security(("apiKey" = ["*"])),
)]
async fn create(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, SIDE, body, guard, now).await
}

/// Changes a sponsor
#[utoipa::path(
    patch,
    path = "/api/v1/sponsors/{id}",
    tag = "Sponsors",
    params(("id" = String, Path, description = "The sponsor's id")),
    request_body = SponsorBody,
    responses((status = 200, description = "The sponsor as it is now", body = One<SponsorView>)),
    security(("apiKey" = ["*"])),
)]
async fn change(
    caller: Admin,
    State(app): State<Arc<App>>,
    Target(entry): Target,
    Moment(now): Moment,
    if_match: IfMatch,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::act(&app, &caller, entry, Act::Edit(body), &if_match, guard, now).await
}

/// Approves a sponsor
#[utoipa::path(
    post,
    path = "/api/v1/sponsors/{id}/approve",
    tag = "Sponsors",
    params(("id" = String, Path, description = "The sponsor's id")),
    responses((status = 200, description = "The sponsor as it is now", body = One<SponsorView>)),
    security(("apiKey" = ["*"])),
)]
async fn approve(
    caller: Admin,
    State(app): State<Arc<App>>,
    Target(entry): Target,
    Moment(now): Moment,
    if_match: IfMatch,
    Once { guard, .. }: Once<Nothing>,
) -> Result<Reply, Problem> {
    use_case::act(&app, &caller, entry, Act::Approve, &if_match, guard, now).await
}

/// Why a sponsor is rejected.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body")]
struct SponsorRejection {
    /// At most 2000 characters.
    reason: Option<String>,
}

/// Rejects a sponsor
#[utoipa::path(
    post,
    path = "/api/v1/sponsors/{id}/reject",
    tag = "Sponsors",
    params(("id" = String, Path, description = "The sponsor's id")),
    request_body = SponsorRejection,
    responses((status = 200, description = "The sponsor as it is now", body = One<SponsorView>)),
    security(("apiKey" = ["*"])),
)]
async fn reject(
    caller: Admin,
    State(app): State<Arc<App>>,
    Target(entry): Target,
    Moment(now): Moment,
    if_match: IfMatch,
    Once { body: MaybeJson(body), guard }: Once<MaybeJson>,
) -> Result<Reply, Problem> {
    use_case::act(&app, &caller, entry, Act::Reject(body), &if_match, guard, now).await
}
