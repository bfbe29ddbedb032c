//! `/vendors` and `/vendors/:id`: the approved vendors for people, without their contacts.
//!
//! Invariant: shows what `/api/v1/public/vendors` shows, no more.
//! Not here: sponsors, whom the public does not see; who is approved (`app::directory`).

use super::head::Head;
use super::linked;
use super::links::{Choice, beginning, choices, keeping, spoken};
use super::page::{Page, Sheet};
use super::site::Site;
use crate::app::directory as use_case;
use crate::face::endpoint::endpoint;
use crate::face::list::List;
use crate::face::problem::Problem;
use crate::state::App;
use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use openevent_domain::planning::directory::{PriceRange, Profile, Side};
use openevent_store::planning::directory::EntryRecord;
use std::sync::Arc;

const SIDE: Side = Side::Vendor;
/// Filters that links keep.
const KEPT: [&str; 2] = ["search", "category"];
/// Characters of a description in a list.
const EXCERPT_CHARS_MAX: usize = 160;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/vendors", get(endpoint(list))).route("/vendors/{id}", get(endpoint(one)))
}

/// A vendor in a list.
struct Card {
    href: String,
    name: String,
    category: String,
    location: Option<String>,
    excerpt: Option<String>,
    facts: Facts,
}

/// What can be told in a word.
struct Facts {
    rating: Option<String>,
    reviews: i64,
    price: Option<&'static str>,
    is_verified: bool,
}

impl Facts {
    fn of(profile: &Profile) -> Self {
        Self {
            rating: profile.rating.map(|rating| rating.to_string()),
            reviews: profile.review_count.unwrap_or_default(),
            price: profile.price_range.map(|range| match range {
                PriceRange::Budget => "low prices",
                PriceRange::Mid => "medium prices",
                PriceRange::Premium => "premium prices",
            }),
            is_verified: profile.verified,
        }
    }
}

impl Card {
    fn of(entry: &EntryRecord) -> Self {
        let profile = &entry.profile;
        Self {
            href: path(entry),
            name: profile.name.clone(),
            category: spoken(profile.group()),
            location: profile.location.clone(),
            excerpt: profile.description.as_deref().map(|text| beginning(text, EXCERPT_CHARS_MAX)),
            facts: Facts::of(profile),
        }
    }
}

fn path(entry: &EntryRecord) -> String {
    format!("/vendors/{}", entry.id)
}

#[derive(Template)]
#[template(path = "vendors.html")]
struct Vendors {
    head: Head,
    search: String,
    categories: Vec<Choice>,
    is_filtered: bool,
    is_continued: bool,
    total: i64,
    cards: Vec<Card>,
    first: String,
    next: Option<String>,
}

impl Sheet for Vendors {
    fn head(&self) -> &Head {
        &self.head
    }
}

async fn list(State(app): State<Arc<App>>, site: Site, list: List) -> Result<Page, Problem> {
    let params = &list.params;
    let (entries, meta) = use_case::public_page(&app, SIDE, &list).await?;
    let groups = use_case::public_groups(&app, SIDE).await?;
    let (is_filtered, is_continued) =
        (KEPT.iter().any(|name| params.get(name).is_some()), params.get("cursor").is_some());
    let sheet = Vendors {
        head: head(&site, &entries, is_filtered || is_continued),
        search: params.get("search").unwrap_or_default().to_owned(),
        categories: choices(groups.iter().map(String::as_str), params.get("category")),
        is_filtered,
        is_continued,
        total: meta.total,
        cards: entries.iter().map(Card::of).collect(),
        first: keeping("/vendors", params, &KEPT, None),
        next: meta.next_cursor.map(|place| keeping("/vendors", params, &KEPT, Some(("cursor", &place)))),
    };
    Page::of(&sheet)
}

fn head(site: &Site, entries: &[EntryRecord], is_part: bool) -> Head {
    let items = entries.iter().map(|entry| (entry.profile.name.clone(), site.at(&path(entry))));
    let head = Head::titled("Vendors")
        .described("Caterers, crews, sound, light and more: vendors for events, looked over one by one.")
        .at(site.at("/vendors"))
        .with_data(&linked::list("Vendors", items));
    if is_part { head.hidden() } else { head }
}

#[derive(Template)]
#[template(path = "vendor.html")]
struct Vendor {
    head: Head,
    id: String,
    profile: Profile,
    category: String,
    category_href: String,
    facts: Facts,
}

impl Sheet for Vendor {
    fn head(&self) -> &Head {
        &self.head
    }
}

async fn one(State(app): State<Arc<App>>, site: Site, Path(id): Path<String>) -> Result<Page, Problem> {
    let entry = use_case::public_entry(&app, SIDE, &id).await?;
    let address = site.at(&path(&entry));
    let EntryRecord { id, profile, .. } = entry;
    let category = spoken(profile.group());
    let words = profile
        .description
        .as_deref()
        .map_or_else(|| category.clone(), |text| beginning(text, EXCERPT_CHARS_MAX));
    let params = crate::face::params::Params::default();
    let sheet = Vendor {
        head: Head::titled(&profile.name)
            .described(words)
            .with_data(&linked::vendor(&profile, &address))
            .at(address)
            .narrow(),
        category_href: keeping("/vendors", &params, &[], Some(("category", profile.group()))),
        facts: Facts::of(&profile),
        id,
        category,
        profile,
    };
    Page::of(&sheet)
}
