//! `/api/v1/users`: people's accounts, for admins of the instance.
//!
//! Invariant: a password goes in and never comes out, not even as a fingerprint.
//! Not here: the rules (`app::users`).

use crate::app::users as use_case;
use crate::face::body::{Decode, Json, Sent};
use crate::face::caller::Admin;
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
use bytes::Bytes;
use http::request::Parts;
use openevent_store::users::UserRecord;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change, delete))
}

/// A body with a password in it: idempotency compares it without.
struct Account(Value);

impl Decode for Account {
    fn takes(kind: &str) -> bool {
        Json::<Value>::takes(kind)
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        Json::decode(sent).map(|Json(value)| Self(value))
    }

    fn identity(sent: &Sent) -> Bytes {
        let mut body: Value = serde_json::from_slice(&sent.bytes).unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("password");
        }
        body.to_string().into()
    }
}

/// The account a path names, found before a body is read.
struct Target(UserRecord);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = named.map_err(|_| Problem::not_found("User"))?;
        use_case::find(app, &id).await.map(Self)
    }
}

/// What is said of a user. A PATCH takes any of it.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct UserBody {
    /// The address they sign in with, unique whatever its case.
    #[schema(example = "ada@example.org")]
    email: String,
    /// 10 to 1000 characters.
    password: String,
    /// Whether they are an admin of the whole instance.
    is_admin: Option<bool>,
    /// In a PATCH: whether they are kept from signing in.
    disabled: Option<bool>,
}

/// A user.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = User)]
#[expect(dead_code, reason = "documents the answer")]
struct UserView {
    id: String,
    email: String,
    is_admin: bool,
    disabled: bool,
    disabled_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// Lists users
///
/// Newest first. For admins of the instance.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "Users",
    params(Page),
    responses((status = 200, description = "Users", body = Many<UserView>)),
    security(("apiKey" = ["*"])),
)]
async fn list(_caller: Admin, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &list).await
}

/// Makes a user
///
/// Projects are given to them as a member.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    tag = "Users",
    request_body = UserBody,
    responses((status = 201, description = "The user", body = One<UserView>)),
    security(("apiKey" = ["*"])),
)]
async fn create(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Account(body), guard }: Once<Account>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, body, guard, now).await
}

/// Reads a user
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = One<UserView>)),
    security(("apiKey" = ["*"])),
)]
async fn get(_caller: Admin, Target(user): Target) -> Reply {
    use_case::get(&user)
}

/// Changes a user
///
/// A new password or `disabled` ends their sessions. The last admin stays one.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user's id")),
    request_body = UserBody,
    responses((status = 200, description = "The user as they are now", body = One<UserView>)),
    security(("apiKey" = ["*"])),
)]
async fn change(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Target(user): Target,
    if_match: IfMatch,
    Once { body: Account(body), guard }: Once<Account>,
) -> Result<Reply, Problem> {
    use_case::change(&app, &caller, user, body, &if_match, guard, now).await
}

/// Deletes a user
///
/// With their sessions and memberships. The last admin and the last owner of a project stay.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "Deleted", body = One<Deleted>)),
    security(("apiKey" = ["*"])),
)]
async fn delete(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Target(user): Target,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    use_case::delete(&app, &caller, user, &if_match, now).await?;
    Ok(Reply::deleted())
}
