//! `POST /bench/ack`: the ceiling of the face. It reads a body and acknowledges it without storing anything.
//!
//! Invariant: there only when the operator asked for it; passes the same gate as everything else.
//! Not here: measuring (see `xtask bench`).

use crate::face::body::{Body, Sent};
use crate::face::caller::Anyone;
use crate::face::reply::Reply;
use crate::state::App;
use axum::Router;
use axum::routing::post;
use http::StatusCode;
use serde_json::json;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/bench/ack", post(ack))
}

async fn ack(_caller: Anyone, Body(sent): Body<Sent>) -> Reply {
    Reply::whole(StatusCode::ACCEPTED, &json!({"success": true, "bytes": sent.bytes.len()}))
}
