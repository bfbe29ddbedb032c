//! Events as calendars.
//!
//! Invariant: what a calendar shows is what the list shows to the same caller.
//! Not here: RFC 5545 (the domain's `planning::calendar`).

use crate::face::etag;
use crate::face::problem::Problem;
use crate::state::App;
use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use openevent_domain::planning::calendar::{Reader, write};
use openevent_domain::planning::event::Event;
use openevent_store::planning::events::{Audience, Direction, Filter, Listing, Place, Sort};

/// Events a feed holds: those that start last.
pub const FEED_MAX: i64 = 1_000;
/// What a path ends in to ask for a calendar.
pub const SUFFIX: &str = ".ics";

/// One event as a calendar.
pub fn one(event: Event, reader: Reader) -> Response {
    let name = event.plan.title.clone();
    answer(&write(&name, &[event], reader))
}

/// A feed of the events a filter shows.
pub async fn feed(app: &App, audience: Audience, filter: Filter) -> Result<Response, Problem> {
    let reader = if audience == Audience::Public { Reader::Public } else { Reader::Member };
    let listing = Listing { audience, filter, sort: Sort::Start, direction: Direction::Descending };
    let found = app.store.events(&listing, &Place::Offset(0), FEED_MAX).await?;
    let events: Vec<_> = found.into_iter().rev().map(|record| record.event).collect();
    Ok(answer(&write("Events", &events, reader)))
}

fn answer(text: &str) -> Response {
    let tag = etag::of_bytes(text.as_bytes());
    let mut response = Response::new(Body::from(text.to_owned()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/calendar; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=0"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}
