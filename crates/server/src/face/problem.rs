//! Refusals: a code, words for people, and sometimes which field is wrong.
//!
//! Invariant: what is in `cause` goes to the log and nowhere else; everything else goes to the caller.
//! Not here: which status a code has and which error becomes which code (see `mapping`).

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use openevent_domain::planning::form::Issue;
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

/// What kind of refusal. The words on the wire never change their meaning; see `docs/errors.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No credential, or one that is not (or no longer) good.
    Unauthorized,
    /// The credential lacks the scope.
    Forbidden,
    /// No such path or object, or not the caller's.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// A field's value is not acceptable.
    ValidationError,
    /// A signal is not acceptable: `validation_error`, as the Events API writes it.
    SignalInvalid,
    /// The request as a whole is not acceptable: unparsable, empty, or not now.
    BadRequest,
    /// Somebody else was first.
    Conflict,
    /// `If-Match` names an older state.
    PreconditionFailed,
    /// The body is too large.
    PayloadTooLarge,
    /// The body is of a kind this path does not read.
    UnsupportedMediaType,
    /// An idempotency key was used before, for another request.
    Unprocessable,
    /// Too many calls in this window.
    RateLimitExceeded,
    /// The body did not arrive in time.
    RequestTimeout,
    /// Our mistake. Says nothing more.
    InternalError,
    /// Not now; nothing was done, trying again is right.
    ServiceUnavailable,
}

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldIssue {
    /// The field, dotted or as a JSON pointer when nested.
    pub field: String,
    /// What is wrong, in plain words.
    pub issue: String,
}

impl FieldIssue {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, issue: impl Into<String>) -> Self {
        Self { field: field.into(), issue: issue.into() }
    }
}

impl From<Issue> for FieldIssue {
    fn from(Issue { field, issue }: Issue) -> Self {
        Self { field, issue }
    }
}

/// What `details` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Details {
    /// The usual form.
    Issues(Vec<FieldIssue>),
    /// The form of signal ingest: the first issue, and all of them when there are several.
    Signal {
        /// The first issue.
        #[serde(flatten)]
        first: FieldIssue,
        /// All of them, when there are several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        issues: Vec<FieldIssue>,
    },
    /// Anything a feature documents itself.
    Other(serde_json::Value),
}

/// A refusal on its way to the caller.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    details: Option<Details>,
    data: Option<serde_json::Value>,
    retry_after_s: Option<i64>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    success: bool,
    error: ErrorBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
}

/// RFC 9457, with the envelope's members as extensions.
#[derive(Serialize)]
struct ProblemJson<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    success: bool,
    error: ErrorBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a serde_json::Value>,
}

impl Problem {
    /// A refusal with a code and words.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let inner = Inner { code, message, details: None, data: None, retry_after_s: None, cause: None };
        Self(Box::new(inner))
    }

    /// 401. One message, whatever was wrong with the credential.
    pub fn unauthorized() -> Self {
        Self::new(Code::Unauthorized, "Invalid or missing API key")
    }

    /// 403, naming the scope that is missing.
    pub fn forbidden(scope: &str) -> Self {
        let message = format!("This needs the scope {scope}");
        Self::new(Code::Forbidden, message).with_details(vec![FieldIssue::new("scope", scope)])
    }

    /// 403 for a duty of the admins of the instance.
    pub fn admins_only() -> Self {
        let message = "This needs the scope * of an admin of the instance";
        Self::new(Code::Forbidden, message).with_details(vec![FieldIssue::new("scope", "*")])
    }

    /// 404 for an object, also for one that is somebody else's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} not found"))
    }

    /// 400 for one field.
    pub fn field(field: impl Into<String>, issue: impl Into<String>) -> Self {
        Self::fields(vec![FieldIssue::new(field, issue)])
    }

    /// 400 for several fields.
    pub fn fields(issues: Vec<FieldIssue>) -> Self {
        Self::new(Code::ValidationError, "Request validation failed").with_details(issues)
    }

    /// 400 for a request that makes no sense as a whole.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// 400 of signal ingest: `validation_error`, "Invalid event format". `issues` must not be empty; an empty
    /// list is answered as an issue of the body.
    pub fn signal(mut issues: Vec<FieldIssue>) -> Self {
        let first = issues.first().cloned().unwrap_or_else(|| FieldIssue::new("body", "is not acceptable"));
        if issues.len() < 2 {
            issues.clear();
        }
        let mut problem = Self::new(Code::SignalInvalid, "Invalid event format");
        problem.0.details = Some(Details::Signal { first, issues });
        problem
    }

    /// 429 until the window ends.
    pub fn rate_limited(retry_after_s: i64) -> Self {
        let message = format!("Rate limit exceeded. Try again in {retry_after_s} seconds.");
        let mut problem = Self::new(Code::RateLimitExceeded, message);
        problem.0.retry_after_s = Some(retry_after_s);
        problem
    }

    /// 500. The cause is logged under the request's id.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        let mut problem = Self::new(Code::InternalError, "Something went wrong on our side");
        problem.0.cause = Some(Arc::new(cause));
        problem
    }

    /// 503, worth repeating in a second.
    pub fn unavailable(cause: impl StdError + Send + Sync + 'static) -> Self {
        let mut problem =
            Self::new(Code::ServiceUnavailable, "The server cannot do this right now; please try again");
        problem.0.retry_after_s = Some(1);
        problem.0.cause = Some(Arc::new(cause));
        problem
    }

    /// The same with `details`.
    #[must_use]
    pub fn with_details(mut self, issues: Vec<FieldIssue>) -> Self {
        self.0.details = Some(Details::Issues(issues));
        self
    }

    /// The same with details of a feature's own shape.
    #[must_use]
    pub fn with_value(mut self, details: serde_json::Value) -> Self {
        self.0.details = Some(Details::Other(details));
        self
    }

    /// The same with `data` beside the error, for answers that say something all the same.
    #[must_use]
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.0.data = serde_json::to_value(data).ok();
        self
    }

    /// The same with other words.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The words for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that are wrong, if it is about fields.
    pub fn issues(&self) -> Option<&[FieldIssue]> {
        match &self.0.details {
            Some(Details::Issues(issues)) => Some(issues),
            _ => None,
        }
    }

    /// The cause, for the log.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// What is wrong in detail.
    pub fn details(&self) -> Option<&Details> {
        self.0.details.as_ref()
    }

    /// After how many seconds trying again is right, when that is known.
    pub fn retry_after_s(&self) -> Option<i64> {
        self.0.retry_after_s
    }

    /// The status line's number.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// The envelope.
    pub(crate) fn envelope(&self) -> Bytes {
        to_bytes(&Envelope { success: false, error: self.error(), data: self.0.data.as_ref() })
    }

    /// The same content as RFC 9457.
    pub(crate) fn problem_json(&self, request_id: &str) -> Bytes {
        to_bytes(&ProblemJson {
            r#type: format!("/docs#{}", self.0.code.word()),
            title: self.0.code.title(),
            status: self.status().as_u16(),
            detail: &self.0.message,
            instance: format!("urn:request:{request_id}"),
            success: false,
            error: self.error(),
            data: self.0.data.as_ref(),
        })
    }

    fn error(&self) -> ErrorBody<'_> {
        ErrorBody { code: self.0.code.word(), message: &self.0.message, details: self.0.details.as_ref() }
    }
}

fn to_bytes(body: &impl Serialize) -> Bytes {
    // These shapes hold strings, numbers and JSON values only; serializing them cannot fail.
    serde_json::to_vec(body).unwrap_or_default().into()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.envelope().into());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.0.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The gate reads it: for the log, and to write problem+json when that was asked for.
        response.extensions_mut().insert(self);
        response
    }
}
