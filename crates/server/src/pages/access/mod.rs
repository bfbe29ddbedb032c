//! Pages for people who sign in: the first admin, signing in and out, the account, keys.
//!
//! Invariant: all of it works by plain forms, without a script. A form that changes something carries the session's
//! token against forgery; what a page shows of somebody is for their eyes only.
//! Not here: the rules (`app::{sessions, setup, keys}`).

mod account;
mod forms;
mod keys;
mod sign_in;

use crate::state::App;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// The paths.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/setup/{token}", get(sign_in::setup).post(sign_in::claim))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/account", get(account::page))
        .route("/account/password", post(account::change_password))
        .route("/account/sessions/{id}/end", post(account::end_session))
        .route("/account/keys", get(keys::page).post(keys::create))
        .route("/account/keys/{id}/revoke", post(keys::revoke))
}
