//! Keys of a project, made and revoked by hand.
//!
//! Invariant: a key's text is on the page that answers its making, and on no other.
//! Not here: the rules (`app::keys`).

use super::account::encoded;
use super::forms::{self, Person, Posted, Signed, see};
use crate::app::keys::{self as use_case, Act};
use crate::app::projects::{self, ProjectView};
use crate::face::caller::{Caller, Everything, Scope as _};
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::pages::head::Head;
use crate::pages::page::{Page, Sheet};
use crate::state::App;
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use openevent_domain::ambient::Millis;
use openevent_domain::scope::KNOWN;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const DAY_MS: Millis = 86_400_000;

/// A key as the use case shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    prefix: String,
    scopes: Vec<String>,
    environment: String,
    status: String,
    expires_at: Option<Millis>,
    last_used_at: Option<Millis>,
    created_at: Millis,
    key: Option<String>,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct Keys<'a> {
    head: Head,
    csrf: &'a str,
    project: &'a str,
    projects: Vec<ProjectView>,
    known: [&'static str; KNOWN.len()],
    rows: Vec<Row>,
    next: Option<String>,
    made: Option<Row>,
    given: &'a Posted,
    refusals: Vec<String>,
}

impl Sheet for Keys<'_> {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Keys<'_> {
    /// Whether the form came back with this scope.
    fn is_chosen(&self, scope: &str) -> bool {
        self.given.all("scope").contains(&scope)
    }
}

/// What the page says beside the list.
#[derive(Default)]
struct Said<'a> {
    made: Option<Row>,
    given: Posted,
    refusal: Option<&'a Problem>,
    cursor: &'a str,
}

/// Them in the project, if its keys are theirs.
async fn keeper(app: &App, person: &Person, project: &str) -> Result<Caller, Problem> {
    let caller = person.caller(app, project).await?;
    caller.require(Everything::WORD)?;
    Ok(caller)
}

async fn shown(
    app: &App,
    person: &Person,
    caller: &Caller,
    said: Said<'_>,
    now: Millis,
) -> Result<Page, Problem> {
    let list = List::of(forms::params(Some(&format!("limit=50&cursor={}", encoded(said.cursor)))));
    let listed = body_of(&use_case::list(app, caller, &list, now).await?);
    let here = app.store.project_by_id(&caller.project_id).await?;
    let here = here.map(|project| project.name).unwrap_or_default();
    let keys = Keys {
        head: Head::titled("API keys").hidden(),
        csrf: &person.csrf,
        project: &here,
        projects: projects::of(app, caller).await?,
        known: KNOWN,
        rows: serde_json::from_value(listed["data"].clone()).map_err(Problem::internal)?,
        next: listed["meta"]["nextCursor"].as_str().map(str::to_owned),
        made: said.made,
        given: &said.given,
        refusals: said.refusal.map(forms::words_of).unwrap_or_default(),
    };
    let page = Page::of(&keys)?.private();
    Ok(said.refusal.map_or(page.clone(), |problem| page.with_status(problem.status())))
}

fn body_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// `GET /account/keys`
pub(super) async fn page(
    person: Person,
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    let params = forms::params(query.as_deref());
    let caller = keeper(&app, &person, params.get("project").unwrap_or("")).await?;
    let cursor = params.get("cursor").unwrap_or("");
    shown(&app, &person, &caller, Said { cursor, ..Said::default() }, now).await
}

/// `POST /account/keys`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Signed { person, form }: Signed,
) -> Result<Response, Problem> {
    let caller = keeper(&app, &person, form.get("project")).await?;
    let body = wanted(&form, now);
    let said = match use_case::create(&app, &caller, body, Guard::none(), now).await {
        Ok(reply) => {
            let made = serde_json::from_value(body_of(&reply)["data"].clone()).map_err(Problem::internal)?;
            Said { made: Some(made), ..Said::default() }
        }
        Err(problem) if forms::is_mendable(&problem) => {
            let said = Said { given: form, refusal: Some(&problem), ..Said::default() };
            return Ok(shown(&app, &person, &caller, said, now).await?.into_response());
        }
        Err(problem) => return Err(problem),
    };
    Ok(shown(&app, &person, &caller, said, now).await?.into_response())
}

/// The body the same key would be made with over the API.
fn wanted(form: &Posted, now: Millis) -> Value {
    let mut body = json!({
        "name": form.get("name"), "scopes": form.all("scope"), "environment": form.get("environment"),
    });
    if let Ok(days) = form.get("days").parse::<Millis>() {
        body["expiresAt"] = now.saturating_add(days.saturating_mul(DAY_MS)).into();
    }
    body
}

/// `POST /account/keys/{id}/revoke`
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Path(id): Path<String>,
    Signed { person, form }: Signed,
) -> Result<Response, Problem> {
    let caller = keeper(&app, &person, form.get("project")).await?;
    let key = use_case::find(&app, &caller, &id).await?;
    use_case::act(&app, &caller, key, Act::Revoke, &IfMatch::any(), Guard::none(), now).await?;
    Ok(see(&format!("/account/keys?project={}", encoded(form.get("project")))))
}
