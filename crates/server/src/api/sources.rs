//! `/api/v1/sources`: whose webhooks are taken in.
//!
//! Invariant: managing them is an admin's duty (`*`).
//! Not here: the rules (`app::sources`), what comes in (`hooks`).

use crate::app::sources as use_case;
use crate::face::body::{Body, Json};
use crate::face::caller::{Anyone, Can, Everything};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{FromRequestParts, Path, State};
use http::request::Parts;
use openevent_store::sources::SourceRecord;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change, delete))
}

/// The source in the path. It is looked for before a body is read.
struct Target(SourceRecord);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        #[derive(serde::Deserialize)]
        struct Named {
            id: String,
        }
        let caller = Anyone::from_request_parts(parts, app).await?;
        let named = Path::<Named>::from_request_parts(parts, app).await;
        let Path(Named { id }) = named.map_err(|_| Problem::not_found("Source"))?;
        use_case::find(app, &caller.tenant, &id).await.map(Self)
    }
}

/// How a sender signs, for the preset `hmac`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct SignatureRule {
    /// The header with the signature.
    #[schema(example = "X-Signature")]
    header: String,
    /// What stands before it there.
    #[schema(example = "sha256=")]
    prefix: Option<String>,
    /// `sha256` (the default) or `sha512`.
    algorithm: Option<String>,
    /// `hex` (the default) or `base64`.
    encoding: Option<String>,
    /// The header with the time in Unix seconds; five minutes either way are fine.
    timestamp_header: Option<String>,
    /// What is signed: `{body}`, or `{timestamp}.{body}` when there is a time.
    signed: Option<String>,
}

/// What a source is made of. A PATCH takes any of it.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct SourceBody {
    /// Letters, digits and `. _ -`; names of its signals begin with it.
    #[schema(example = "stripe")]
    name: String,
    /// `stripe`, `github`, `slack`, `shopify`, `standard-webhooks`, `hmac` or `none`.
    #[schema(example = "stripe")]
    preset: String,
    /// The sender's signing secret, or up to five of which each will do. Never shown.
    secret: Option<String>,
    /// For the preset `hmac`: how its sender signs.
    signature: Option<SignatureRule>,
    /// jq on the body, with `$headers` and `$source`: the signal's name; `null` for what is of no interest.
    #[schema(example = "{\"payment_intent.succeeded\": \"payment.completed\"}[.type]")]
    event_name: Option<String>,
    /// jq: what the sender calls the message; under one id it counts once.
    #[schema(example = ".id")]
    event_id: Option<String>,
    /// jq: the signal's payload.
    #[schema(example = ".data.object")]
    payload: Option<String>,
    /// `active` (the default) or `paused`: then senders are told to come again later.
    status: Option<String>,
}

/// A source.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Source)]
#[expect(dead_code, reason = "documents the answer")]
struct SourceView {
    id: String,
    name: String,
    preset: String,
    signature: Option<SignatureRule>,
    event_name: Option<String>,
    event_id: Option<String>,
    payload: Option<String>,
    /// Where its sender posts to.
    path: String,
    has_secret: bool,
    status: String,
    created_at: i64,
    updated_at: i64,
}

/// Lists sources
///
/// Newest first, without their secrets.
#[utoipa::path(
    get,
    path = "/api/v1/sources",
    tag = "Sources",
    params(Page),
    responses((status = 200, description = "Sources", body = Many<SourceView>)),
    security(("apiKey" = ["*"])),
)]
async fn list(caller: Can<Everything>, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller.tenant, &list).await
}

/// Creates a source
///
/// From then on its sender may post to `path`.
#[utoipa::path(
    post,
    path = "/api/v1/sources",
    tag = "Sources",
    request_body = SourceBody,
    responses((status = 201, description = "The source", body = One<SourceView>)),
    security(("apiKey" = ["*"])),
)]
async fn create(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, body, guard, now).await
}

/// Reads a source
#[utoipa::path(
    get,
    path = "/api/v1/sources/{id}",
    tag = "Sources",
    params(("id" = String, Path, description = "The source's id")),
    responses((status = 200, description = "The source", body = One<SourceView>)),
    security(("apiKey" = ["*"])),
)]
async fn get(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller.tenant, &id).await
}

/// Changes a source
///
/// A new `secret` takes the place of all there were; give both while the sender changes from one to the other.
#[utoipa::path(
    patch,
    path = "/api/v1/sources/{id}",
    tag = "Sources",
    params(("id" = String, Path, description = "The source's id")),
    request_body = SourceBody,
    responses((status = 200, description = "The source as it is now", body = One<SourceView>)),
    security(("apiKey" = ["*"])),
)]
async fn change(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Target(source): Target,
    Moment(now): Moment,
    if_match: IfMatch,
    Body(Json(body)): Body<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::change(&app, &caller, source.id.as_str(), body, &if_match, now).await
}

/// Deletes a source
///
/// Its sender is answered 404 from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/sources/{id}",
    tag = "Sources",
    params(("id" = String, Path, description = "The source's id")),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["*"])),
)]
async fn delete(
    caller: Can<Everything>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, &id, &if_match, now).await
}
