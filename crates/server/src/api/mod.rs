//! The endpoints: paths, methods, what they take and answer. Each is a thin translation to a use case.
//!
//! Invariant: an endpoint is registered through [`routes`] and nowhere else, so that the OpenAPI document knows
//! it. How to add one: `docs/adding-an-endpoint.md`.
//! Not here: decisions (`app`), the framework (`face`).

pub mod api_keys;
pub mod applications;
pub mod audit;
pub mod bench;
pub mod budget;
pub mod event_sponsors;
pub mod event_types;
pub mod event_vendors;
pub mod events;
pub mod health;
pub mod hooks;
pub mod index;
pub mod me;
pub mod measures;
pub mod projects;
pub mod public;
pub mod runs;
pub mod secrets;
pub mod sheets;
pub mod signals;
pub mod sources;
pub mod sponsors;
pub mod tasks;
pub mod users;
pub mod vendors;
pub mod webhooks;
pub mod workflows;

use crate::state::App;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Every documented endpoint. A feature adds one line.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .merge(index::routes())
        .merge(health::routes())
        .merge(measures::routes())
        .merge(event_types::routes())
        .merge(signals::routes())
        .merge(events::routes())
        .merge(sheets::routes())
        .merge(tasks::routes())
        .merge(budget::routes())
        .merge(event_vendors::routes())
        .merge(event_sponsors::routes())
        .merge(applications::routes())
        .merge(vendors::routes())
        .merge(sponsors::routes())
        .merge(public::routes())
        .merge(webhooks::routes())
        .merge(sources::routes())
        .merge(hooks::routes())
        .merge(workflows::routes())
        .merge(runs::routes())
        .merge(secrets::routes())
        .merge(api_keys::routes())
        .merge(audit::routes())
        .merge(me::routes())
        .merge(users::routes())
        .merge(projects::routes())
}
