//! Pages and files for people: `/`, `/docs`, `/openapi.json`. Everything is in the binary.
//!
//! Invariant: nothing is loaded from elsewhere, and the content security policy says so.
//! Not here: the dashboard.

use crate::face::etag;
use crate::state::App;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use serde_json::Value;
use std::sync::Arc;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file, ready to be sent any number of times.
#[derive(Clone, Debug)]
struct File {
    kind: &'static str,
    bytes: Bytes,
    etag: String,
}

pub(crate) fn routes(document: Value) -> Router<Arc<App>> {
    let document = serde_json::to_vec(&document).unwrap_or_default();
    let html = "text/html; charset=utf-8";
    Router::new()
        .route("/", file(html, include_bytes!("pages/home.html")))
        .route("/docs", file(html, include_bytes!("pages/docs.html")))
        .route(
            "/docs/reference.js",
            file("text/javascript; charset=utf-8", include_bytes!("pages/reference.js")),
        )
        .route("/docs/home.js", file("text/javascript; charset=utf-8", include_bytes!("pages/home.js")))
        .route("/docs/reference.css", file("text/css; charset=utf-8", include_bytes!("pages/reference.css")))
        .route("/openapi.json", serve(File::of("application/json", document.into())))
}

fn file(kind: &'static str, bytes: &'static [u8]) -> axum::routing::MethodRouter<Arc<App>> {
    serve(File::of(kind, Bytes::from_static(bytes)))
}

fn serve(file: File) -> axum::routing::MethodRouter<Arc<App>> {
    get(move || std::future::ready(file.clone()))
}

impl File {
    fn of(kind: &'static str, bytes: Bytes) -> Self {
        Self { kind, etag: etag::of_bytes(&bytes), bytes }
    }
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.bytes.into());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        if let Ok(etag) = HeaderValue::try_from(self.etag) {
            headers.insert(ETAG, etag);
        }
        response
    }
}
