//! Signing in and out, and the first admin's link.
//!
//! Invariant: a page never says whether an address has an account; no page shows a password again.
//! Not here: the rules (`app::sessions`, `app::setup`).

use super::forms::{self, Open, Posted, Signed, see_with, see_without};
use crate::app::sessions::{self, Visitor};
use crate::app::setup as setup_case;
use crate::face::moment::Moment;
use crate::face::problem::Problem;
use crate::pages::head::Head;
use crate::pages::page::{Page, Sheet};
use crate::state::App;
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    head: Head,
    next: &'a str,
    email: &'a str,
    refusals: Vec<String>,
}

impl Sheet for SignIn<'_> {
    fn head(&self) -> &Head {
        &self.head
    }
}

fn form(next: &str, email: &str, refusal: Option<&Problem>) -> Result<Page, Problem> {
    let refusals = refusal.map(forms::words_of).unwrap_or_default();
    let head = Head::titled("Sign in").hidden().narrow();
    let page = Page::of(&SignIn { head, next, email, refusals })?.private();
    Ok(refusal.map_or(page.clone(), |problem| page.with_status(problem.status())))
}

/// `GET /sign-in`
pub(super) async fn page(RawQuery(query): RawQuery) -> Result<Page, Problem> {
    let params = forms::params(query.as_deref());
    form(forms::next(params.get("next").unwrap_or("")), "", None)
}

/// `POST /sign-in`
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    visitor: Visitor,
    headers: HeaderMap,
    Open(posted): Open,
) -> Result<Response, Problem> {
    let (next, email) = (forms::next(posted.get("next")), posted.get("email").trim());
    match sessions::sign_in(&app, email, posted.password("password"), &visitor, now).await {
        Ok(fresh) => Ok(see_with(next, &fresh, &app, &headers)),
        Err(problem) if forms::is_mendable(&problem) => {
            Ok(form(next, email, Some(&problem))?.into_response())
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /sign-out`
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    headers: HeaderMap,
    Signed { person, .. }: Signed,
) -> Result<Response, Problem> {
    sessions::sign_out(&app, &person.signed_in, &person.origin, now).await?;
    Ok(see_without("/sign-in", &app, &headers))
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup<'a> {
    head: Head,
    email: &'a str,
    refusals: Vec<String>,
}

impl Sheet for Setup<'_> {
    fn head(&self) -> &Head {
        &self.head
    }
}

fn setup_form(email: &str, refusal: Option<&Problem>) -> Result<Page, Problem> {
    let refusals = refusal.map(forms::words_of).unwrap_or_default();
    let page =
        Page::of(&Setup { head: Head::titled("Set up").hidden().narrow(), email, refusals })?.private();
    Ok(refusal.map_or(page.clone(), |problem| page.with_status(problem.status())))
}

/// `GET /setup/{token}`: looking at a link does not use it up.
pub(super) async fn setup(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path(token): Path<String>,
) -> Result<Page, Problem> {
    setup_case::check(&app, &token, now).await?;
    setup_form("", None)
}

/// `POST /setup/{token}`
pub(super) async fn claim(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path(token): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    Open(posted): Open,
) -> Result<Response, Problem> {
    match made(&app, &token, &posted, &visitor, now).await {
        Ok(fresh) => Ok(see_with("/account", &fresh, &app, &headers)),
        Err(problem) if forms::is_mendable(&problem) => {
            Ok(setup_form(posted.get("email"), Some(&problem))?.into_response())
        }
        Err(problem) => Err(problem),
    }
}

async fn made(
    app: &App,
    token: &str,
    posted: &Posted,
    visitor: &Visitor,
    now: i64,
) -> Result<sessions::Fresh, Problem> {
    setup_case::claim(app, token, posted.get("email"), posted.password("password"), visitor, now).await
}
