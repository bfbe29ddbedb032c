//! `/api/v1/projects`: projects and their members.
//!
//! Invariant: the project of a path is looked for before anything in it; who does not belong to it hears 404.
//! Not here: the rules (`app::projects`).

use crate::app::projects::{self as use_case, Need, Seat};
use crate::face::body::Json;
use crate::face::caller::{Admin, Anyone};
use crate::face::endpoint::routes;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Once;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{FromRequestParts, Path, RawPathParams, State};
use http::request::Parts;
use openevent_store::keys::Project;
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(members, add))
        .routes(routes!(member, change, remove))
}

/// The project a path names, for its owners and for admins.
struct Owned(Project);

impl FromRequestParts<Arc<App>> for Owned {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, app).await?;
        let missing = || Problem::not_found("Project");
        let named = RawPathParams::from_request_parts(parts, app).await.map_err(|_| missing())?;
        let name = named.iter().find(|(name, _)| *name == "name").map(|(_, value)| value.to_owned());
        let name = name.ok_or_else(missing)?;
        use_case::open(app, &caller, &name, Need::Ownership).await.map(|(project, _)| Self(project))
    }
}

/// What is said of a project.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct ProjectBody {
    /// At most 100 visible characters, unique.
    #[schema(example = "conferences")]
    name: String,
}

/// A project.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Project)]
#[expect(dead_code, reason = "documents the answer")]
struct ProjectView {
    id: String,
    name: String,
    /// What the caller is in it: `owner`, `manager` or `viewer`.
    role: Option<String>,
    created_at: i64,
}

/// What is said of a member. A PATCH takes `role`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; the fields are read one by one")]
struct MemberBody {
    /// The address of a user.
    #[schema(example = "ada@example.org")]
    email: String,
    /// `owner`, `manager` or `viewer`.
    #[schema(example = "manager")]
    role: String,
}

/// A member of a project, by the id of their account.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Member)]
#[expect(dead_code, reason = "documents the answer")]
struct MemberView {
    id: String,
    user_id: String,
    email: String,
    role: String,
    disabled: bool,
    created_at: i64,
    updated_at: i64,
}

/// Lists projects
///
/// Those the caller belongs to; all for admins of the instance.
#[utoipa::path(
    get,
    path = "/api/v1/projects",
    tag = "Projects",
    params(Page),
    responses((status = 200, description = "Projects", body = Many<ProjectView>)),
    security(("apiKey" = [])),
)]
async fn list(caller: Anyone, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::list(&app, &caller, &list).await
}

/// Makes a project
///
/// For admins of the instance. A person who makes one owns it.
#[utoipa::path(
    post,
    path = "/api/v1/projects",
    tag = "Projects",
    request_body = ProjectBody,
    responses((status = 201, description = "The project", body = One<ProjectView>)),
    security(("apiKey" = ["*"])),
)]
async fn create(
    caller: Admin,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::create(&app, &caller, body, guard, now).await
}

/// Reads a project
#[utoipa::path(
    get,
    path = "/api/v1/projects/{name}",
    tag = "Projects",
    params(("name" = String, Path, description = "The project's name or id")),
    responses((status = 200, description = "The project", body = One<ProjectView>)),
    security(("apiKey" = [])),
)]
async fn get(
    caller: Anyone,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Reply, Problem> {
    use_case::get(&app, &caller, &name).await
}

/// Lists the members of a project
///
/// For its owners and for admins of the instance, as all of this.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{name}/members",
    tag = "Projects",
    params(("name" = String, Path, description = "The project's name or id"), Page),
    responses((status = 200, description = "Members", body = Many<MemberView>)),
    security(("apiKey" = ["*"])),
)]
async fn members(Owned(project): Owned, State(app): State<Arc<App>>, list: List) -> Result<Reply, Problem> {
    use_case::members(&app, &project, &list).await
}

/// Makes a user a member
#[utoipa::path(
    post,
    path = "/api/v1/projects/{name}/members",
    tag = "Projects",
    params(("name" = String, Path, description = "The project's name or id")),
    request_body = MemberBody,
    responses((status = 201, description = "The member", body = One<MemberView>)),
    security(("apiKey" = ["*"])),
)]
async fn add(
    Owned(project): Owned,
    caller: Anyone,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    use_case::add(&app, &caller, &project, body, guard, now).await
}

/// Reads a member
#[utoipa::path(
    get,
    path = "/api/v1/projects/{name}/members/{user_id}",
    tag = "Projects",
    params(
        ("name" = String, Path, description = "The project's name or id"),
        ("user_id" = String, Path, description = "The id of their account"),
    ),
    responses((status = 200, description = "The member", body = One<MemberView>)),
    security(("apiKey" = ["*"])),
)]
async fn member(
    Owned(project): Owned,
    State(app): State<Arc<App>>,
    Path((_, user)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    use_case::get_member(&app, &project, &user).await
}

/// Gives a member another role
///
/// It counts from their next request on. The last owner stays one.
#[utoipa::path(
    patch,
    path = "/api/v1/projects/{name}/members/{user_id}",
    tag = "Projects",
    params(
        ("name" = String, Path, description = "The project's name or id"),
        ("user_id" = String, Path, description = "The id of their account"),
    ),
    request_body = MemberBody,
    responses((status = 200, description = "The member as they are now", body = One<MemberView>)),
    security(("apiKey" = ["*"])),
)]
async fn change(
    Owned(project): Owned,
    caller: Anyone,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path((_, user)): Path<(String, String)>,
    if_match: IfMatch,
    Once { body: Json(body), guard }: Once<Json<Value>>,
) -> Result<Reply, Problem> {
    let seat = Seat { project: &project, user: &user };
    use_case::change(&app, &caller, seat, body, &if_match, guard, now).await
}

/// Ends a membership
///
/// The last owner stays.
#[utoipa::path(
    delete,
    path = "/api/v1/projects/{name}/members/{user_id}",
    tag = "Projects",
    params(
        ("name" = String, Path, description = "The project's name or id"),
        ("user_id" = String, Path, description = "The id of their account"),
    ),
    responses((status = 200, description = "They are no member any more", body = One<Deleted>)),
    security(("apiKey" = ["*"])),
)]
async fn remove(
    Owned(project): Owned,
    caller: Anyone,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path((_, user)): Path<(String, String)>,
    if_match: IfMatch,
) -> Result<Reply, Problem> {
    let seat = Seat { project: &project, user: &user };
    use_case::remove(&app, &caller, seat, &if_match, now).await?;
    Ok(Reply::deleted())
}
