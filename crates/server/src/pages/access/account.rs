//! The account: who one is, where one is signed in, another password.
//!
//! Invariant: shows the person's own things only.
//! Not here: keys (see `keys`).

use super::forms::{self, Person, Signed, see, see_with};
use crate::app::projects::{self, ProjectView};
use crate::app::sessions::{self, SessionView, Visitor};
use crate::face::moment::Moment;
use crate::face::problem::Problem;
use crate::pages::head::Head;
use crate::pages::page::{Page, Sheet};
use crate::state::App;
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use openevent_domain::ambient::Millis;
use openevent_domain::role::Role;
use openevent_domain::signal::rfc3339;
use std::sync::Arc;
use url::form_urlencoded;

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    head: Head,
    csrf: &'a str,
    email: &'a str,
    is_admin: bool,
    projects: Vec<ProjectView>,
    sessions: Vec<SessionView>,
    done: Option<&'static str>,
    refusals: Vec<String>,
}

impl Sheet for Account<'_> {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Account<'_> {
    /// Whether somebody in this role makes keys.
    fn makes_keys(&self, role: Option<&Role>) -> bool {
        self.is_admin || role == Some(&Role::Owner)
    }
}

/// A time for people: date and minute, UTC.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn minute(at: &Millis) -> String {
    let text = rfc3339(*at);
    text.get(..16).map_or(text.clone(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

/// A text for a query string.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn shown(
    app: &App,
    person: &Person,
    done: Option<&'static str>,
    refusal: Option<&Problem>,
    now: Millis,
) -> Result<Page, Problem> {
    let caller = person.caller(app, "").await?;
    let user = &person.signed_in.user;
    let account = Account {
        head: Head::titled("Account").hidden().narrow(),
        csrf: &person.csrf,
        email: user.email.as_str(),
        is_admin: user.is_admin,
        projects: projects::of(app, &caller).await?,
        sessions: sessions::of(app, &caller, now).await?,
        done,
        refusals: refusal.map(forms::words_of).unwrap_or_default(),
    };
    let page = Page::of(&account)?.private();
    Ok(refusal.map_or(page.clone(), |problem| page.with_status(problem.status())))
}

/// `GET /account`
pub(super) async fn page(
    person: Person,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    let done = match forms::params(query.as_deref()).get("done") {
        Some("password") => Some("Your password is changed. Everywhere else you are signed out."),
        Some("session") => Some("That session has ended."),
        _ => None,
    };
    shown(&app, &person, done, None, now).await
}

/// `POST /account/password`
pub(super) async fn change_password(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    visitor: Visitor,
    headers: HeaderMap,
    Signed { person, form }: Signed,
) -> Result<Response, Problem> {
    let (current, new) = (form.password("currentPassword"), form.password("newPassword"));
    match sessions::change_password(&app, &person.signed_in, current, new, &visitor, now).await {
        Ok(fresh) => Ok(see_with("/account?done=password", &fresh, &app, &headers)),
        Err(problem) if forms::is_mendable(&problem) => {
            Ok(shown(&app, &person, None, Some(&problem), now).await?.into_response())
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /account/sessions/{id}/end`
pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path(id): Path<String>,
    Signed { person, .. }: Signed,
) -> Result<Response, Problem> {
    let caller = person.caller(&app, "").await?;
    sessions::end(&app, &caller, &id, now).await?;
    Ok(see("/account?done=session"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_minute() {
        assert_eq!(minute(&1_767_225_659_999), "2026-01-01 00:00 UTC");
    }
}
