//! `/api/v1/me` and `/api/v1/sessions`: who asks, and where they are signed in.
//!
//! Invariant: a session is shown to its own person only.
//! Not here: signing in and out, which are pages (`pages::access`).

use crate::app::{projects, sessions};
use crate::face::caller::{Anyone, Caller, Credential};
use crate::face::endpoint::routes;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::openapi::{Deleted, Many, One, Page};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::face::session;
use crate::state::App;
use axum::extract::{Path, State};
use http::HeaderMap;
use openevent_domain::account::csrf_token;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(me)).routes(routes!(list)).routes(routes!(end))
}

/// Who asks.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
struct Me {
    id: String,
    /// `user`, `key`, `operator` or `workflow`.
    kind: String,
    /// What they are called: the key's name, the person's e-mail address.
    name: Option<String>,
    email: Option<String>,
    /// Whether they are an admin of the whole instance.
    is_admin: bool,
    scopes: Vec<String>,
    /// The project they act in; `{id, name}`.
    project: Option<Value>,
    /// `live` or `test`.
    environment: String,
    /// All projects they may act in, with their role.
    projects: Vec<Value>,
    /// In a session: what its changes carry in `X-CSRF-Token`.
    csrf_token: Option<String>,
}

/// A sign-in.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", as = Session)]
#[expect(dead_code, reason = "documents the answer")]
struct SessionView {
    id: String,
    /// What the browser calls itself.
    agent: String,
    address: String,
    /// Whether it is the one that asks.
    current: bool,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
}

/// Says who asks
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "Users",
    responses((status = 200, description = "Whom the credential belongs to", body = One<Me>)),
    security(("apiKey" = [])),
)]
async fn me(caller: Anyone, State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Reply, Problem> {
    Ok(Reply::ok(&shown(&app, &caller, &headers).await?))
}

async fn shown(app: &App, caller: &Caller, headers: &HeaderMap) -> Result<Value, Problem> {
    let here = app.store.project_by_id(&caller.project_id).await?;
    let id = caller.credential.as_str();
    let mut me = json!({
        "_id": id, "id": id, "kind": caller.credential.kind(), "isAdmin": caller.is_admin(),
        "scopes": caller.scopes.words(), "environment": caller.tenant.environment().as_str(),
        "projects": projects::of(app, caller).await?,
    });
    if let Some(project) = here {
        me["project"] = json!({"id": project.id, "name": project.name});
    }
    if let Some(name) = &caller.name {
        me["name"] = name.as_str().into();
    }
    if let Credential::User { .. } = caller.credential {
        me["email"] = me["name"].clone();
        me["csrfToken"] = session::token(headers).map(csrf_token).into();
    }
    Ok(me)
}

/// Lists the caller's sessions
///
/// Newest first. Only people have some.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    tag = "Users",
    params(Page),
    responses((status = 200, description = "Where they are signed in", body = Many<SessionView>)),
    security(("apiKey" = [])),
)]
async fn list(
    caller: Anyone,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    list: List,
) -> Result<Reply, Problem> {
    sessions::list(&app, &caller, &list, now).await
}

/// Ends one of the caller's sessions
///
/// At once.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    tag = "Users",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 200, description = "Ended", body = One<Deleted>)),
    security(("apiKey" = [])),
)]
async fn end(
    caller: Anyone,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path(id): Path<String>,
) -> Result<Reply, Problem> {
    sessions::end(&app, &caller, &id, now).await?;
    Ok(Reply::deleted())
}
