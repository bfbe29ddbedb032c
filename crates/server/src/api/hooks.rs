//! `/api/v1/hooks`: webhooks of others, which sign instead of showing a credential.
//!
//! Invariant: the body reaches the check as it came, byte for byte.
//! Not here: the rules (`app::hooks`), managing sources (`sources`).

use crate::app::hooks as use_case;
use crate::face::body::{Body, Sent};
use crate::face::caller::Origin;
use crate::face::endpoint::routes;
use crate::face::moment::Moment;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use axum::extract::{Path, State};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(take))
}

/// What a sender is told.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct HookTaken {
    success: bool,
    data: HookTakenData,
}

/// What became of it.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the answer")]
struct HookTakenData {
    /// The signal it became.
    event_id: Option<String>,
    /// It came before.
    duplicate: Option<bool>,
    /// The source's owner is not interested in such messages.
    ignored: Option<bool>,
}

/// Takes in a webhook of another service
///
/// Its signature and time are checked as the source says; then it becomes a signal. The source is named by its id, or
/// by its name when it belongs to the operator's own project.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{source}",
    tag = "Sources",
    params(("source" = String, Path, description = "The source's id or name")),
    request_body(content = Object, description = "Whatever the sender sends: JSON, or a form"),
    responses((status = 202, description = "It is on disk, or of no interest", body = HookTaken)),
    security(()),
)]
async fn take(
    State(app): State<Arc<App>>,
    origin: Origin,
    Path(source): Path<String>,
    Moment(now): Moment,
    Body(sent): Body<Sent>,
) -> Result<Reply, Problem> {
    use_case::take(&app, &source, sent, &origin, now).await
}
