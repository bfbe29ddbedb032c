//! Forms of the public: a vendor or a sponsor applies to an event, a vendor to the directory, and sees how far it is.
//!
//! Invariant: a form does what the API's public intake does, under the same strict limit; what was filled in comes
//! back with its mistakes. Nobody is signed in here, so a form sent from elsewhere gains nothing.
//! Not here: the rules (`app::applications`).

use super::head::Head;
use super::page::{Page, Sheet};
use crate::app::applications as use_case;
use crate::app::public::{self, Seen};
use crate::face::body::{Decode, Sent};
use crate::face::caller::Origin;
use crate::face::endpoint::endpoint;
use crate::face::idempotency::Once;
use crate::face::moment::Moment;
use crate::face::params::Params;
use crate::face::problem::{Code, Details, FieldIssue, Problem};
use crate::face::reply::Reply;
use crate::state::App;
use askama::Template;
use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use openevent_domain::planning::directory::Side;
use serde_json::{Map, Value};
use std::sync::Arc;
use url::form_urlencoded;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/events/{id}/apply", get(endpoint(event_form)).post(endpoint(apply)))
        .route("/vendors/apply", get(endpoint(vendor_form)).post(endpoint(enrol)))
        .route("/applications/{token}", get(endpoint(status)))
}

/// What was filled in. Fields left empty are not there.
#[derive(Clone, Debug, Default)]
struct Filled(Vec<(String, String)>);

impl Decode for Filled {
    const BYTES_MAX: usize = 64 * 1024;

    fn takes(kind: &str) -> bool {
        kind == "application/x-www-form-urlencoded"
    }

    fn decode(sent: Sent) -> Result<Self, Problem> {
        let fields = form_urlencoded::parse(&sent.bytes).into_owned();
        Ok(Self(fields.filter(|(_, value)| !value.trim().is_empty()).collect()))
    }
}

impl Filled {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// As the API takes it.
    fn json(&self) -> Value {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect::<Map<_, _>>().into()
    }
}

/// What is wrong with what was filled in, in words for people.
fn mistakes(problem: &Problem) -> Vec<String> {
    match problem.details() {
        Some(Details::Issues(issues)) => issues.iter().map(mistake).collect(),
        _ => vec![problem.message().to_owned()],
    }
}

fn mistake(FieldIssue { field, issue }: &FieldIssue) -> String {
    let label = match field.as_str() {
        "applicantType" => "Applying as",
        "applicantId" => "Directory id",
        "message" => "Message",
        "proposedBudget" => "Amount",
        "proposedTier" => "Tier",
        "contactName" => "Your name",
        "contactEmail" => "Your e-mail",
        "name" => "Name",
        "category" => "Category",
        "description" => "Description",
        "location" => "Place",
        "website" => "Website",
        other => other,
    };
    format!("{label}: {issue}")
}

/// A refusal that is no mistake of the form is a page of its own.
fn is_correctable(problem: &Problem) -> bool {
    matches!(problem.code(), Code::ValidationError | Code::BadRequest | Code::Conflict)
}

/// Where an applicant goes on: to the page that their token opens.
fn onward(reply: &Reply) -> Result<Response, Problem> {
    let told: Value = serde_json::from_slice(&reply.body).map_err(Problem::internal)?;
    let path = format!("/applications/{}", told["data"]["statusToken"].as_str().unwrap_or_default());
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(path).map_err(Problem::internal)?);
    Ok(response)
}

#[derive(Template)]
#[template(path = "apply.html")]
struct EventForm {
    head: Head,
    seen: Seen,
    as_sponsor: bool,
    filled: Filled,
    mistakes: Vec<String>,
}

impl Sheet for EventForm {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl EventForm {
    fn of(seen: Seen, filled: Filled, mistakes: Vec<String>) -> Self {
        let is_asked = filled.get("applicantType") == Side::Sponsor.as_str();
        Self {
            head: Head::titled(format!("Apply to {}", seen.plan.title)).hidden().narrow(),
            as_sponsor: seen.plan.seeking_sponsors && (is_asked || !seen.plan.seeking_vendors),
            seen,
            filled,
            mistakes,
        }
    }
}

async fn sought(app: &App, id: &str) -> Result<Seen, Problem> {
    let seen = Seen::of(public::event(app, id).await?);
    let is_sought = seen.plan.seeking_vendors || seen.plan.seeking_sponsors;
    if is_sought { Ok(seen) } else { Err(Problem::not_found("Event")) }
}

async fn event_form(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Page, Problem> {
    let kept = ["applicantType", "applicantId"];
    let given = kept.into_iter().filter_map(|name| Some((name.to_owned(), params.get(name)?.to_owned())));
    Page::of(&EventForm::of(sought(&app, &id).await?, Filled(given.collect()), Vec::new()))
}

async fn apply(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Moment(now): Moment,
    Extension(origin): Extension<Origin>,
    Once { body: filled, guard }: Once<Filled>,
) -> Result<Response, Problem> {
    match use_case::apply(&app, &id, filled.json(), guard, &origin, now).await {
        Ok(reply) => onward(&reply),
        Err(problem) if is_correctable(&problem) => {
            let form = EventForm::of(sought(&app, &id).await?, filled, mistakes(&problem));
            Ok(Page::of(&form)?.with_status(problem.status()).private().into_response())
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct VendorForm {
    head: Head,
    filled: Filled,
    mistakes: Vec<String>,
}

impl Sheet for VendorForm {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl VendorForm {
    fn of(filled: Filled, mistakes: Vec<String>) -> Self {
        Self { head: Head::titled("Join the directory").narrow(), filled, mistakes }
    }
}

async fn vendor_form() -> Result<Page, Problem> {
    Page::of(&VendorForm::of(Filled::default(), Vec::new()))
}

async fn enrol(
    State(app): State<Arc<App>>,
    Moment(now): Moment,
    Extension(origin): Extension<Origin>,
    Once { body: filled, guard }: Once<Filled>,
) -> Result<Response, Problem> {
    match use_case::enrol(&app, Side::Vendor, filled.json(), guard, &origin, now).await {
        Ok(reply) => onward(&reply),
        Err(problem) if is_correctable(&problem) => {
            let form = VendorForm::of(filled, mistakes(&problem));
            Ok(Page::of(&form)?.with_status(problem.status()).private().into_response())
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Template)]
#[template(path = "application.html")]
struct Status {
    head: Head,
    applicant: String,
    id: String,
    event: Option<(String, String)>,
    standing: &'static str,
    reason: Option<String>,
}

impl Sheet for Status {
    fn head(&self) -> &Head {
        &self.head
    }
}

async fn status(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Page, Problem> {
    let reply = use_case::status(&app, &token).await?;
    let told: Value = serde_json::from_slice(&reply.body).map_err(Problem::internal)?;
    let data = &told["data"];
    let text = |name: &str| data[name].as_str().map(str::to_owned);
    let standing = match data["status"].as_str().unwrap_or_default() {
        "under_review" => "Somebody is looking at it.",
        "accepted" => "It was accepted.",
        "approved" => "It was approved.",
        "rejected" => "It was declined.",
        _ => "It was received. Nobody has looked at it yet.",
    };
    let page = Page::of(&Status {
        head: Head::titled("Your application").hidden().narrow(),
        applicant: text("applicantName").unwrap_or_default(),
        id: text("applicantId").unwrap_or_default(),
        event: text("eventTitle").zip(text("eventId")),
        standing,
        reason: text("rejectionReason"),
    })?;
    Ok(page.private())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_the_labels_of_the_form() {
        let problem = Problem::fields(vec![FieldIssue::new("contactEmail", "must be an e-mail address")]);
        assert_eq!(mistakes(&problem), ["Your e-mail: must be an e-mail address"]);
        let problem = Problem::bad_request("This event does not seek sponsors");
        assert_eq!(mistakes(&problem), ["This event does not seek sponsors"]);
    }
}
