//! `GET /api/v1`: what this server is and where to go from here.
//!
//! Invariant: public; says nothing about data.
//! Not here: health.

use crate::face::endpoint::routes;
use crate::face::openapi::One;
use crate::face::reply::Reply;
use crate::state::App;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// The version of this server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this server is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Index {
    /// The product.
    #[schema(example = "Open Event")]
    name: &'static str,
    /// Its version.
    version: &'static str,
    /// Where to go from here.
    links: BTreeMap<&'static str, &'static str>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(get))
}

/// Name, version and links
#[utoipa::path(
    get,
    path = "/api/v1",
    tag = "Server",
    responses((status = 200, description = "What this server is", body = One<Index>)),
)]
async fn get() -> Reply {
    let links = BTreeMap::from([
        ("self", "/api/v1"),
        ("documentation", "/docs"),
        ("openapi", "/openapi.json"),
        ("health", "/health"),
        ("events", "/api/v1/events"),
        ("eventTypes", "/api/v1/event-types"),
        ("signals", "/api/v1/signals"),
        ("stream", "/api/v1/stream"),
        ("workflows", "/api/v1/workflows"),
        ("runs", "/api/v1/runs"),
    ]);
    Reply::ok(&Index { name: "Open Event", version: VERSION, links })
}
