//! The server face: one port, every path, the envelope.
//!
//! Invariant: everything that answers HTTP passes [`face::gate`]; nothing here speaks SQL or opens a socket
//! other than the listener's.
//! Not here: the process (flags, files, signals of the system); the binary owns that.

pub mod api;
pub mod app;
mod connections;
pub mod face;
mod local;
pub mod pages;
mod serve;
mod settings;
mod state;

pub use serve::{assist, serve};
pub use settings::{BadSettings, Settings};
pub use state::{App, StartError};

use axum::Router;
use axum::middleware::from_fn_with_state;
use std::sync::Arc;

/// Every path of the server, behind the gate.
pub fn router(app: Arc<App>) -> Router {
    let (routes, document) = api::routes().split_for_parts();
    let document = face::openapi::finish(&document);
    let mut routes = routes.merge(pages::routes(&document));
    if app.settings.bench {
        routes = routes.merge(api::bench::routes());
    }
    routes.layer(from_fn_with_state(Arc::clone(&app), face::gate::gate)).with_state(app)
}
