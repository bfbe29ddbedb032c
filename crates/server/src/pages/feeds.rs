//! Feeds beside the page of events: a calendar, and an Atom feed of what is new.
//!
//! Invariant: the same filters as the page; ids of entries never change.
//! Not here: RFC 5545 (the domain's `planning::calendar`).

use super::events::{filters, path};
use super::site::Site;
use super::when::{When, iso};
use crate::app::calendar;
use crate::app::public::{self as use_case, Seen};
use crate::face::etag;
use crate::face::list::List;
use crate::face::moment::Moment;
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::state::App;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use openevent_store::planning::events::{Audience, Direction, Filter, Sort};
use std::sync::Arc;

/// Entries of the feed.
const ENTRIES_MAX: i64 = 50;

/// The page's events as a calendar; without a filter of days, also those that are over.
pub(super) async fn calendar(State(app): State<Arc<App>>, params: Params) -> Result<Response, Problem> {
    calendar::feed(&app, Audience::Public, use_case::filters(&params)?).await
}

struct Entry {
    id: String,
    title: String,
    address: String,
    updated: String,
    published: String,
    summary: String,
}

#[derive(Template)]
#[template(path = "events.xml")]
struct Feed {
    address: String,
    page: String,
    updated: String,
    entries: Vec<Entry>,
}

/// What was announced last.
pub(super) async fn atom(
    State(app): State<Arc<App>>,
    site: Site,
    Moment(now): Moment,
    mut list: List,
) -> Result<Response, Problem> {
    list.limit = ENTRIES_MAX;
    let filter = Filter { from: None, ..filters(&list.params, now)? };
    let order = (Sort::Creation, Direction::Descending);
    let (events, _) = use_case::page_of(&app, filter, order, &list).await?;
    let updated = events.iter().map(|seen| seen.updated_at).max().unwrap_or_default();
    let feed = Feed {
        address: site.at("/events.atom"),
        page: site.at("/events"),
        updated: iso(updated, None),
        entries: events.iter().map(|seen| entry(&site, seen)).collect(),
    };
    let text = feed.render().map_err(Problem::internal)?;
    let mut response = Response::new(text.clone().into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/atom+xml; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::try_from(etag::of_bytes(text.as_bytes())) {
        headers.insert(ETAG, tag);
    }
    Ok(response)
}

fn entry(site: &Site, seen: &Seen) -> Entry {
    let when = When::of(&seen.plan);
    let description = seen.plan.description.as_deref().unwrap_or_default();
    Entry {
        id: format!("urn:openevent:{}", seen.id),
        title: printable(&seen.plan.title),
        address: site.at(&path(seen)),
        updated: iso(seen.updated_at, None),
        published: iso(seen.created_at, None),
        summary: printable(&format!("{} ({})\n\n{description}", when.start, when.clocks)),
    }
}

/// A text without the characters that XML cannot hold.
fn printable(text: &str) -> String {
    let is_good = |c: &char| {
        matches!(c, '\t' | '\n' | '\r') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars().filter(is_good).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_left_out() {
        assert_eq!(printable("a\u{1}b\u{ffff}\n\u{7f}c"), "ab\nc");
    }
}
