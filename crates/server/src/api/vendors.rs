//! `/api/v1/vendors`: the vendor directory.
//!
//! Invariant: reading needs the scope of reading vendors, changing is an admin's.
//! Not here: the rules (`app::directory`).

use crate::app::directory::{self as use_case, Act, Viewer};
use crate::face::body::{Json, MaybeJson, Nothing};
use crate::face::caller::{Admin, Anyone, Can, ReadVendors};
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

const SIDE: Side = Side::Vendor;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(categories))
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
        let Path(id) = named.map_err(|_| Problem::not_found("Vendor"))?;
        use_case::find(app, SIDE, &id).await.map(Self)
    }
}

/// What a vendor is made of. A PATCH takes any of it; `null` clears what may be absent.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
pub(super) struct VendorBody {
    /// At most 200 characters.
    name: String,
    /// At most 100 characters.
    category: String,
    services: Option<Vec<String>>,
    location: Option<String>,
    /// `budget`, `mid` or `premium`.
    price_range: Option<String>,
    /// From 0 to 5.
    rating: Option<f64>,
    review_count: Option<i64>,
    description: Option<String>,
    website: Option<String>,
    logo_url: Option<String>,
    verified: Option<bool>,
    contact_name: Option<String>,
    contact_email: Option<String>,
    contact_phone: Option<String>,
}

/// A vendor. Contacts are for those with a key.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Vendor)]
#[expect(dead_code, reason = "documents the answer")]
pub(super) struct VendorView {
    id: String,
    #[serde(flatten)]
    body: VendorBody,
    /// `approved`; admins also see `pending` and `rejected`.
    status: Option<String>,
    /// For admins.
    rejection_reason: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// Lists vendors
///
/// Approved ones, the newest first; found by their name first when searched.
#[utoipa::path(
    get,
    path = "/api/v1/vendors",
    tag = "Vendors",
    params(
        Page,
        ("category" = Option<String>, Query, description = "Only this category"),
        ("search" = Option<String>, Query, description = "Words in name or description"),
        ("status" = Option<String>, Query, description = "For admins: `pending`, `approved`, `rejected` or `all`"),
    ),
    responses((status = 200, description = "Vendors", body = Many<VendorView>)),
    security(("apiKey" = ["vendors:read"])),
)]
async fn list(caller: Can<ReadVendors>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, SIDE, Viewer::of(&caller), &list).await
}

/// Lists the categories of vendors
#[utoipa::path(
    get,
    path = "/api/v1/vendors/categories",
    tag = "Vendors",
    responses((status = 200, description = "By name", body = One<Vec<String>>)),
    security(("apiKey" = [])),
)]
async fn categories(_caller: Anyone, State(app): State<Arc<App>>) -> Result<Reply, Problem> {
    use_case::groups(&app, SIDE).await
}

/// Reads a vendor
#[utoipa::path(
    get,
    path = "/api/v1/vendors/{id}",
    tag = "Vendors",
    params(("id" = String, Path, description = "The vendor's id")),
    responses((status = 200, description = "The vendor", body = One<VendorView>)),
    security(("apiKey" = ["vendors:read"])),
)]
async fn get(
    caller: Can<ReadVendors>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    use_case::get(&app, SIDE, Viewer::of(&caller), &id).await
}

/// Adds a vendor, to be reviewed
#[utoipa::path(
    post,
    path = "/api/v1/vendors",
    tag = "Vendors",
    request_body = VendorBody,
    responses((status = 201, description = "The vendor", body = One<VendorView>)),
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

/// Changes a vendor
#[utoipa::path(
    patch,
    path = "/api/v1/vendors/{id}",
    tag = "Vendors",
    params(("id" = String, Path, description = "The vendor's id")),
    request_body = VendorBody,
    responses((status = 200, description = "The vendor as it is now", body = One<VendorView>)),
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

/// Approves a vendor
#[utoipa::path(
    post,
    path = "/api/v1/vendors/{id}/approve",
    tag = "Vendors",
    params(("id" = String, Path, description = "The vendor's id")),
    responses((status = 200, description = "The vendor as it is now", body = One<VendorView>)),
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

/// Why a vendor is rejected.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body")]
struct VendorRejection {
    /// At most 2000 characters.
    reason: Option<String>,
}

/// Rejects a vendor
#[utoipa::path(
    post,
    path = "/api/v1/vendors/{id}/reject",
    tag = "Vendors",
    params(("id" = String, Path, description = "The vendor's id")),
    request_body = VendorRejection,
    responses((status = 200, description = "The vendor as it is now", body = One<VendorView>)),
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
