//! The files of the pages: styles, the reference's script, the mark, the API's description.
//!
//! Invariant: a file's path holds the hash of its bytes, so it may be kept for ever; what changes has another path.
//! Not here: pages.

use super::page;
use crate::face::etag;
use crate::face::problem::Problem;
use crate::state::App;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// The look of every page.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of(
        "pages.css",
        CSS,
        concat!(include_str!("../../assets/tokens.css"), include_str!("../../assets/pages.css")),
    )
});
/// The look of the API reference.
pub(crate) static REFERENCE_STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(include_str!("../../assets/tokens.css"), include_str!("../../assets/reference.css"));
    Asset::of("reference.css", CSS, text)
});
/// What makes the API reference out of its description.
pub(crate) static REFERENCE_SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of("reference.js", "text/javascript; charset=utf-8", include_str!("../../assets/reference.js"))
});
/// The sign of the site.
pub(crate) static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("mark.svg", "image/svg+xml", include_str!("../../assets/mark.svg")));

const CSS: &str = "text/css; charset=utf-8";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A file of ours.
#[derive(Debug)]
pub(crate) struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
    etag: String,
}

impl Asset {
    fn of(name: &str, kind: &'static str, text: &'static str) -> Self {
        let etag = etag::of_bytes(text.as_bytes());
        Self { path: format!("/assets/{}/{name}", etag.trim_matches('"')), kind, text, etag }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// The paths of all files.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/assets/{hash}/{name}", get(file))
}

async fn file(Path((hash, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let path = format!("/assets/{hash}/{name}");
    let all: [&LazyLock<Asset>; 4] = [&STYLE, &REFERENCE_STYLE, &REFERENCE_SCRIPT, &MARK];
    let asset = all.into_iter().find(|asset| asset.path == path);
    let asset = asset.ok_or_else(|| Problem::not_found("File"))?;
    Ok(answer(asset.kind, Bytes::from_static(asset.text.as_bytes()), &asset.etag, FOR_EVER))
}

fn answer(kind: &'static str, bytes: Bytes, etag: &str, keep: HeaderValue) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, keep);
    headers.insert(CONTENT_SECURITY_POLICY, page::policy(None));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// The API's description, as a file.
pub(crate) fn document(document: &Value) -> MethodRouter<Arc<App>> {
    let bytes = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
    let etag = etag::of_bytes(&bytes);
    let keep = HeaderValue::from_static("no-cache");
    get(move || std::future::ready(answer("application/json", bytes.clone(), &etag, keep.clone())))
}
