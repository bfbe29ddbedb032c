//! Pages for people who sign in: the first admin, signing in and out, the account, keys.
//!
//! Invariant: all of it works by plain forms, without a script. A form that changes something carries the session's
//! token against forgery; what a page shows of somebody is for their eyes only.
//! Not here: the rules (`app::{sessions, setup, keys}`).

mod account;
mod forms;
mod keys;
mod sign_in;

use crate::face::endpoint::endpoint;
use crate::state::App;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// The paths.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/setup/{token}", get(endpoint(sign_in::setup)).post(endpoint(sign_in::claim)))
        .route("/sign-in", get(endpoint(sign_in::page)).post(endpoint(sign_in::sign_in)))
        .route("/sign-out", post(endpoint(sign_in::sign_out)))
        .route("/account", get(endpoint(account::page)))
        .route("/account/password", post(endpoint(account::change_password)))
        .route("/account/sessions/{id}/end", post(endpoint(account::end_session)))
        .route("/account/keys", get(endpoint(keys::page)).post(endpoint(keys::create)))
        .route("/account/keys/{id}/revoke", post(endpoint(keys::revoke)))
}
