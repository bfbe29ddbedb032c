//! The one middleware: every request passes it on its way in, every answer on its way out.
//!
//! Invariant: credential, then rate limit, then the router (scope, path, body). Every answer, also one made by
//! a library or after a panic, leaves with a request id, and every failure in the envelope.
//! Not here: what the single steps mean; each has a file of its own beside this one.

use super::access::{self, Access};
use super::caller::{Caller, Identity, Origin};
use super::credential::is_without_credential;
use super::moment::Moment;
use super::problem::{Code, Problem};
use super::rates::{Meter, Subject};
use super::telemetry::NO_ROUTE;
use super::{client, etag, mapping, request_id, session, stamp};
use crate::app::sessions::{self, Choice};
use crate::pages::failure;
use crate::pages::page::Spoken;
use crate::state::App;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use openevent_domain::ambient::Millis;
use openevent_domain::rate::{Limit, Verdict};
use openevent_store::Error;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// Calls an hour somebody may make in their sessions.
pub const SESSION_CALLS_PER_HOUR: u32 = 10_000;

/// What we remember of a request until it is answered.
struct Visit {
    began: Instant,
    now: Millis,
    id: HeaderValue,
    method: Method,
    route: Option<MatchedPath>,
    is_cross_origin: bool,
    form: Form,
    if_none_match: Option<HeaderValue>,
}

/// How a refusal is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Envelope,
    ProblemJson,
    Page,
}

/// Put into a request by this process itself: its caller needs no credential and is not counted. Nothing that comes
/// over a socket can carry it.
#[derive(Clone, Debug)]
pub(crate) struct Insider(pub(crate) Arc<Identity>);

/// Where a call stands after credential and rate limit.
struct Admission {
    verdict: Option<Verdict>,
    outcome: Result<Option<Arc<Identity>>, Problem>,
}

/// The middleware.
pub async fn gate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let visit = Visit::of(&app, &request);
    let mut peer = client::peer(&request, app.settings.client_address_header.as_ref());
    let address = client::class(peer);
    if visit.method == Method::OPTIONS && request.uri().path().starts_with("/api/") {
        return visit.preflight(&app, address);
    }
    let admission = match request.extensions_mut().remove::<Insider>() {
        Some(Insider(identity)) => {
            peer = None;
            Admission { verdict: None, outcome: Ok(Some(identity)) }
        }
        None => admit(&app, Asked::of(&request), address, visit.now).await,
    };
    let response = match admission.outcome {
        Err(problem) => problem.into_response(),
        Ok(identity) => {
            let extensions = request.extensions_mut();
            extensions.insert(Moment(visit.now));
            let origin = Origin { request_id: visit.id.clone(), address: peer };
            match identity {
                Some(identity) => drop(extensions.insert(Caller::new(identity, origin))),
                None => drop(extensions.insert(origin)),
            }
            let span = visit.span();
            run(next, request).instrument(span).await
        }
    };
    visit.finish(&app, response, admission.verdict)
}

async fn run(next: Next, request: Request) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => Problem::internal(Panicked(words_of(panic.as_ref()))).into_response(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}

/// What a request says before its body.
#[derive(Clone, Copy)]
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request) -> Self {
        Self { method: request.method(), path: request.uri().path(), headers: request.headers() }
    }
}

async fn admit(app: &App, asked: Asked<'_>, address: IpAddr, now: Millis) -> Admission {
    let by_address = Limit::per_hour(app.settings.address_rate_per_hour);
    let anonymous = async || {
        let meter = app.rates.meter(&Subject::Address(address));
        app.rates.hit(&meter, by_address, now).await
    };
    match access::of(asked.path) {
        Access::Free => {
            let verdict = app.rates.peek(&Subject::Address(address), by_address, now);
            Admission { verdict: Some(verdict), outcome: Ok(None) }
        }
        Access::Signed => {
            let verdict = app.rates.peek(&Subject::Address(address), by_address, now);
            Admission::limited(Some(verdict), now, Ok(None))
        }
        Access::Open => {
            let mut verdict = anonymous().await;
            if verdict.admitted && access::is_intake(asked.method, asked.path) {
                let limit = Limit::per_hour(app.settings.public_intake_per_hour);
                verdict = app.rates.hit(&app.rates.meter(&Subject::Intake(address)), limit, now).await;
            }
            Admission::limited(Some(verdict), now, Ok(None))
        }
        Access::Credential => match identify(app, asked, now).await {
            Ok(Some(known)) => {
                let verdict = match known.metered {
                    Some((meter, limit)) => Some(app.rates.hit(&meter, limit, now).await),
                    None => None,
                };
                Admission::limited(verdict, now, known.identity.map(Some))
            }
            Ok(None) => Admission::limited(Some(anonymous().await), now, Err(Problem::unauthorized())),
            Err(error) => {
                let verdict = app.rates.peek(&Subject::Address(address), by_address, now);
                Admission { verdict: Some(verdict), outcome: Err(error.into()) }
            }
        },
    }
}

/// Whose request it is, and what counts it; they may be refused all the same.
struct Recognised {
    identity: Result<Arc<Identity>, Problem>,
    metered: Option<(Arc<Meter>, Limit)>,
}

/// Whose request it is: by key or token, and by the cookie of a session when neither is offered.
async fn identify(app: &App, asked: Asked<'_>, now: Millis) -> Result<Option<Recognised>, Error> {
    let headers = asked.headers;
    if let Some(known) = app.keyring.identify(headers, &app.rates, now).await? {
        return Ok(Some(Recognised { identity: Ok(known.identity), metered: known.metered }));
    }
    let token = session::token(headers).filter(|_| is_without_credential(headers));
    let Some(token) = token else { return Ok(None) };
    let Some(person) = sessions::find(app, Some(token), now).await? else { return Ok(None) };
    let meter = app.rates.meter(&Subject::User(person.user.id.clone()));
    let identity = enter(app, asked, token, &person).await.map(Arc::new);
    Ok(Some(Recognised { identity, metered: Some((meter, Limit::per_hour(SESSION_CALLS_PER_HOUR))) }))
}

/// A person in the project their request names. A change has to come from a page of ours.
async fn enter(
    app: &App,
    asked: Asked<'_>,
    token: &str,
    person: &sessions::SignedIn,
) -> Result<Identity, Problem> {
    let text = |name| asked.headers.get(name).map(|value: &HeaderValue| value.as_bytes());
    let text = |name| text(name).and_then(|bytes| std::str::from_utf8(bytes).ok());
    if !session::is_safe(asked.method) {
        session::check_change(asked.headers, token, text(session::X_CSRF_TOKEN))?;
    }
    let project = text(session::OPENEVENT_PROJECT).map(decoded);
    let choice = Choice {
        project: project.as_deref().filter(|name| !name.is_empty()),
        environment: text(session::OPENEVENT_ENVIRONMENT),
    };
    sessions::enter(app, person, choice).await
}

/// A name in a header: what is not ASCII may be percent-encoded.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned()
}

impl Admission {
    /// What was decided, unless the limit is reached.
    fn limited(
        verdict: Option<Verdict>,
        now: Millis,
        outcome: Result<Option<Arc<Identity>>, Problem>,
    ) -> Self {
        let refused = verdict.filter(|verdict| !verdict.admitted);
        let outcome = match refused {
            Some(verdict) => Err(Problem::rate_limited(verdict.retry_after_s(now))),
            None => outcome,
        };
        Self { verdict, outcome }
    }
}

impl Visit {
    fn of(app: &App, request: &Request) -> Self {
        let headers = request.headers();
        let now = app.clock.now();
        Self {
            began: Instant::now(),
            now,
            id: request_id::of(headers, now, app.chance.as_ref()),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            is_cross_origin: access::is_cross_origin(request.uri().path()),
            form: Form::of(request.uri().path(), headers),
            if_none_match: headers.get(IF_NONE_MATCH).cloned(),
        }
    }

    fn span(&self) -> tracing::Span {
        tracing::debug_span!(
            "request",
            "request.id" = request_id::text(&self.id),
            "http.method" = self.method.as_str(),
            "http.route" = self.route(),
        )
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str)
    }

    fn preflight(&self, app: &App, address: IpAddr) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        stamp::preflight(response.headers_mut());
        let limit = Limit::per_hour(app.settings.address_rate_per_hour);
        let verdict = app.rates.peek(&Subject::Address(address), limit, self.now);
        self.stamp(&mut response, Some(&verdict));
        response
    }

    fn finish(self, app: &App, response: Response, verdict: Option<Verdict>) -> Response {
        let mut response = self.enveloped(response);
        if let Some(given) = &self.if_none_match
            && etag::is_unchanged(&self.method, &response, given)
        {
            response = etag::not_modified(response);
        }
        self.stamp(&mut response, verdict.as_ref());
        self.tell(app, &response);
        response
    }

    fn stamp(&self, response: &mut Response, verdict: Option<&Verdict>) {
        let headers = response.headers_mut();
        stamp::request_id(headers, &self.id);
        stamp::no_guessing(headers);
        if let Some(verdict) = verdict {
            stamp::rate(headers, verdict);
        }
        if self.is_cross_origin {
            stamp::cross_origin(headers);
        }
    }

    /// A failure that is not ours yet is put into the envelope; ours is written as problem+json if asked for.
    fn enveloped(&self, mut response: Response) -> Response {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        if response.extensions().get::<Spoken>().is_some() {
            return response;
        }
        let is_ours = response.extensions().get::<Problem>().is_some();
        if is_ours && self.form == Form::Envelope {
            return response;
        }
        let problem = response.extensions_mut().remove::<Problem>();
        let problem = problem.unwrap_or_else(|| mapping::of_status(status));
        let (mut parts, _) = response.into_parts();
        let (headers, body) = self.form.write(&problem, request_id::text(&self.id));
        parts.status = problem.status();
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.extend(headers);
        parts.extensions.insert(problem);
        Response::from_parts(parts, body.into())
    }

    fn tell(&self, app: &App, response: &Response) {
        let status = response.status();
        let took = self.began.elapsed();
        app.meters.answered(self.route(), &self.method, status.as_u16(), took);
        let problem = response.extensions().get::<Problem>();
        if problem.is_some_and(|problem| problem.code() == Code::RateLimitExceeded) {
            app.meters.limited();
        }
        let (id, method) = (request_id::text(&self.id), self.method.as_str());
        if status.is_server_error() {
            let cause = problem.and_then(Problem::cause).map(chain).unwrap_or_default();
            tracing::error!(
                "request.id" = id,
                "http.method" = method,
                "http.route" = self.route(),
                "http.status" = status.as_u16(),
                "duration_ms" = took.as_secs_f64() * 1000.0,
                cause,
                "a request failed",
            );
        } else {
            tracing::debug!(
                "request.id" = id,
                "http.method" = method,
                "http.route" = self.route(),
                "http.status" = status.as_u16(),
                "duration_ms" = took.as_secs_f64() * 1000.0,
                "answered",
            );
        }
    }
}

const PROBLEM_JSON: &str = "application/problem+json";
const HTML: &str = "text/html";

impl Form {
    /// What the caller takes; pages only where there are pages.
    fn of(path: &str, headers: &HeaderMap) -> Self {
        let takes = |kind: &str| {
            headers.get_all(ACCEPT).iter().any(|value| {
                value.as_bytes().windows(kind.len()).any(|part| part.eq_ignore_ascii_case(kind.as_bytes()))
            })
        };
        if takes(PROBLEM_JSON) {
            return Self::ProblemJson;
        }
        if access::is_page(path) && takes(HTML) { Self::Page } else { Self::Envelope }
    }

    fn write(self, problem: &Problem, request_id: &str) -> (HeaderMap, Bytes) {
        let page = (self == Self::Page).then(|| failure::page(problem, request_id)).flatten();
        if let Some(page) = page {
            return page.into_parts();
        }
        let (kind, body) = match self {
            Self::ProblemJson => (PROBLEM_JSON, problem.problem_json(request_id)),
            Self::Envelope | Self::Page => ("application/json", problem.envelope()),
        };
        (HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]), body)
    }
}

/// An error and what caused it, for the log.
fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
