//! What the forms of these pages have in common: the person behind them, what was sent, where it leads.
//!
//! Invariant: nothing is read of a form whose token against forgery is not the session's. A page leads on to paths of
//! this server only.
//! Not here: the pages.

use crate::app::sessions::{self, Choice, Fresh, SignedIn, Visitor};
use crate::face::body::{Decode, Sent, receive};
use crate::face::caller::{Caller, Origin};
use crate::face::moment::Moment;
use crate::face::problem::{Code, Problem};
use crate::face::session::{self, CSRF_FIELD, Site};
use crate::face::{client, params::Params};
use crate::state::App;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use openevent_domain::account::csrf_token;
use secrecy::SecretString;
use std::sync::Arc;
use url::form_urlencoded;

/// A form as it was sent, value for value.
#[derive(Clone, Debug, Default)]
pub(super) struct Posted(Vec<(String, String)>);

impl Posted {
    /// A field; empty when it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A password: never trimmed.
    pub(super) fn password(&self, name: &str) -> SecretString {
        self.get(name).into()
    }
}

impl Decode for Posted {
    const BYTES_MAX: usize = 64 * 1024;

    fn takes(kind: &str) -> bool {
        kind == "application/x-www-form-urlencoded"
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        Ok(Self(form_urlencoded::parse(&sent.bytes).into_owned().collect()))
    }
}

/// A form of somebody who is not signed in. It must not come from somebody else's page.
pub(super) struct Open(pub(super) Posted);

impl FromRequest<Arc<App>> for Open {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &Arc<App>) -> Result<Self, Problem> {
        if session::site(request.headers()) == Site::Theirs {
            let words = "This form was not sent from a page of this server";
            return Err(Problem::new(Code::Forbidden, words));
        }
        Posted::decode(receive::<Posted>(request).await?).map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let origin = Origin::from_request_parts(parts, app).await?;
        let agent = parts.headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        Ok(Self {
            agent: agent.unwrap_or_default().into_owned(),
            class: client::class(origin.address),
            origin,
            token: session::token(&parts.headers).map(str::to_owned),
        })
    }
}

/// Somebody who is signed in; everybody else is sent to do so.
pub(super) struct Person {
    /// Who, and in which session.
    pub(super) signed_in: SignedIn,
    /// What their forms carry.
    pub(super) csrf: String,
    /// The request.
    pub(super) origin: Origin,
}

impl Person {
    /// Them in a project, as the use cases want them.
    pub(super) async fn caller(&self, app: &App, project: &str) -> Result<Caller, Problem> {
        let project = Some(project).filter(|name| !name.is_empty());
        let choice = Choice { project, environment: None };
        let identity = sessions::enter(app, &self.signed_in, choice).await?;
        Ok(Caller::new(Arc::new(identity), self.origin.clone()))
    }
}

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let origin = Origin::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let Moment(now) =
            Moment::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let token = session::token(&parts.headers);
        let found = sessions::find(app, token, now).await;
        match (token, found.map_err(|error| Problem::from(error).into_response())?) {
            (Some(token), Some(signed_in)) => Ok(Self { signed_in, csrf: csrf_token(token), origin }),
            _ => Err(to_sign_in(parts)),
        }
    }
}

/// The sign-in page, which leads back here.
fn to_sign_in(parts: &Parts) -> Response {
    let here = parts.uri.path_and_query().map_or("/account", |here| here.as_str());
    let here = if session::is_safe(&parts.method) { here } else { "/account" };
    let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
    see(&format!("/sign-in?next={next}"))
}

/// A form of somebody who is signed in, from a page of ours.
pub(super) struct Signed {
    /// Who sent it.
    pub(super) person: Person,
    /// What they sent.
    pub(super) form: Posted,
}

impl FromRequest<Arc<App>> for Signed {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, app).await?;
        let headers = parts.headers.clone();
        let sent = receive::<Posted>(Request::from_parts(parts, body)).await;
        let form = sent.and_then(Posted::decode).map_err(IntoResponse::into_response)?;
        let token = session::token(&headers).unwrap_or_default();
        session::check_change(&headers, token, Some(form.get(CSRF_FIELD)))
            .map_err(IntoResponse::into_response)?;
        Ok(Self { person, form })
    }
}

/// Leads on to another page.
pub(super) fn see(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, path);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same, and from now on the browser holds the token of a session.
pub(super) fn see_with(path: &str, fresh: &Fresh, app: &App, headers: &HeaderMap) -> Response {
    let max_age_s = app.settings.session_ms_max / 1_000;
    let cookie = session::cookie(&fresh.token, max_age_s, headers, app.settings.is_plain());
    with_cookie(see(path), cookie)
}

/// The same, and the browser forgets it.
pub(super) fn see_without(path: &str, app: &App, headers: &HeaderMap) -> Response {
    with_cookie(see(path), session::no_cookie(headers, app.settings.is_plain()))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Where a page leads on to: a path of this server, or the account.
pub(super) fn next(wanted: &str) -> &str {
    let is_ours = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.contains('\\')
        && wanted.bytes().all(|byte| byte.is_ascii_graphic());
    if is_ours { wanted } else { "/account" }
}

/// What a refusal says of a form, line by line.
pub(super) fn words_of(problem: &Problem) -> Vec<String> {
    let issues = problem.issues().unwrap_or_default();
    if issues.is_empty() {
        return vec![problem.message().to_owned()];
    }
    issues.iter().map(|issue| format!("{}: {}", name_of(&issue.field), issue.issue)).collect()
}

/// A field as its label calls it.
fn name_of(field: &str) -> &str {
    match field {
        "email" => "E-mail address",
        "password" => "Password",
        "currentPassword" => "Current password",
        "newPassword" => "New password",
        "name" => "Name",
        "rateLimit" => "Calls an hour",
        "expiresAt" => "Expires",
        other if other.starts_with("scopes") => "Scopes",
        other => other,
    }
}

/// Whether a refusal belongs into its form. What is not the person's to mend is a page of its own.
pub(super) fn is_mendable(problem: &Problem) -> bool {
    matches!(
        problem.code(),
        Code::ValidationError
            | Code::Unauthorized
            | Code::RateLimitExceeded
            | Code::Conflict
            | Code::BadRequest
    )
}

/// The parameters of a page.
pub(super) fn params(query: Option<&str>) -> Params {
    Params::of(query.unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn a_page_leads_to_paths_of_this_server_only() {
        assert_eq!(next("/account/keys?project=a%20b"), "/account/keys?project=a%20b");
        for wanted in
            ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a b", "javascript:x"]
        {
            assert_eq!(next(wanted), "/account", "{wanted}");
        }
    }
}
