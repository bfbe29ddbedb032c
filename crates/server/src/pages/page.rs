//! The answer that is a page: HTML from a typed template, with the headers every page has.
//!
//! Invariant: no page leaves without the content security policy. Scripts and styles come from our own files only;
//! the one inline block, linked data, is admitted by its hash.
//! Not here: the templates, what the head says (see `head`).

use super::head::{Head, LinkedData};
use crate::face::etag;
use crate::face::problem::Problem;
use askama::Template;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A template on our layout.
pub trait Sheet: Template {
    /// What it says about itself.
    fn head(&self) -> &Head;
}

/// Put into an answer that refuses on a page of its own: the gate leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoken;

/// A page on its way out.
#[derive(Clone, Debug)]
pub struct Page {
    status: StatusCode,
    html: Bytes,
    headers: HeaderMap,
}

impl Page {
    /// A page, to be asked for again each time it is wanted.
    pub fn of(sheet: &impl Sheet) -> Result<Self, Problem> {
        let html = Bytes::from(sheet.render().map_err(Problem::internal)?);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_SECURITY_POLICY, policy(sheet.head().data.as_ref()));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        if let Ok(tag) = HeaderValue::try_from(etag::of_bytes(&html)) {
            headers.insert(ETAG, tag);
        }
        Ok(Self { status: StatusCode::OK, html, headers })
    }

    /// The same with another status. Refusals have no tag.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        if !status.is_success() {
            self.headers.remove(ETAG);
        }
        self
    }

    /// The same for one reader's eyes only: nobody may keep it.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.headers.remove(ETAG);
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Its bytes and headers, for an answer that has a status and headers already.
    pub(crate) fn into_parts(self) -> (HeaderMap, Bytes) {
        (self.headers, self.html)
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.html.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if !self.status.is_success() {
            response.extensions_mut().insert(Spoken);
        }
        response
    }
}

/// What a page may load and do.
pub(super) fn policy(data: Option<&LinkedData>) -> HeaderValue {
    let script = data.map(|data| format!("'self' {}", data.source()));
    let script = script.as_deref().unwrap_or("'self'");
    let text = format!(
        "default-src 'none'; script-src {script}; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    // Words of ours and base64: always a header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}
