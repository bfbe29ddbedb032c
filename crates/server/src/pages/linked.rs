//! What pages say to machines, in the words of schema.org.
//!
//! Invariant: nothing that the page itself does not show, and nothing invented.
//! Not here: how it gets into a page (see `head`).

use super::when::When;
use crate::app::public::Seen;
use openevent_domain::planning::directory::Profile;
use openevent_domain::planning::plan::{LocationType, Plan};
use serde_json::{Map, Value, json};

const CONTEXT: &str = "https://schema.org";

/// One event.
pub(super) fn event(seen: &Seen, when: &When, address: &str) -> Value {
    let plan = &seen.plan;
    let mode = plan.location_type.map(|kind| match kind {
        LocationType::InPerson => "https://schema.org/OfflineEventAttendanceMode",
        LocationType::Virtual => "https://schema.org/OnlineEventAttendanceMode",
        LocationType::Hybrid => "https://schema.org/MixedEventAttendanceMode",
    });
    present(json!({
        "@context": CONTEXT,
        "@type": "Event",
        "@id": address,
        "url": address,
        "name": plan.title,
        "description": plan.description,
        "startDate": when.start_iso,
        "endDate": when.end_iso,
        "eventStatus": "https://schema.org/EventScheduled",
        "eventAttendanceMode": mode,
        "location": places(plan),
    }))
}

fn places(plan: &Plan) -> Value {
    let hall = plan.venue_name.is_some() || plan.venue_address.is_some();
    let hall = hall
        .then(|| present(json!({"@type": "Place", "name": plan.venue_name, "address": plan.venue_address})));
    let online = plan.virtual_platform.as_ref().map(|url| json!({"@type": "VirtualLocation", "url": url}));
    match (hall, online) {
        (Some(hall), Some(online)) => json!([hall, online]),
        (one, other) => one.or(other).unwrap_or_default(),
    }
}

/// A vendor.
pub(super) fn vendor(profile: &Profile, address: &str) -> Value {
    let reviews = profile.review_count.filter(|count| *count > 0);
    let rating = profile.rating.zip(reviews).map(|(rating, reviews)| {
        json!({"@type": "AggregateRating", "ratingValue": rating, "bestRating": 5, "reviewCount": reviews})
    });
    present(json!({
        "@context": CONTEXT,
        "@type": "Organization",
        "@id": address,
        "name": profile.name,
        "description": profile.description,
        "url": profile.website,
        "areaServed": profile.location,
        "knowsAbout": profile.services,
        "aggregateRating": rating,
    }))
}

/// A list of pages, by name and address.
pub(super) fn list(name: &str, items: impl Iterator<Item = (String, String)>) -> Value {
    let item = |(place, (name, url)): (usize, (String, String))| json!({"@type": "ListItem", "position": place + 1, "name": name, "url": url});
    let items: Vec<_> = items.enumerate().map(item).collect();
    json!({"@context": CONTEXT, "@type": "ItemList", "name": name, "itemListElement": items})
}

/// An object without the members that are absent or empty.
fn present(object: Value) -> Value {
    let is_absent = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match object {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !is_absent(value)).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
