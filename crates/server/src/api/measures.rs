//! `GET /metrics`: the Prometheus text format.
//!
//! Invariant: labels never hold ids, names or paths of callers.
//! Not here: what is measured (see `face::telemetry`).

use crate::face::endpoint::routes;
use crate::face::telemetry::recorder;
use crate::state::App;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(metrics))
}

/// Measurements for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Server",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")),
)]
async fn metrics() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder().render()).into_response()
}
