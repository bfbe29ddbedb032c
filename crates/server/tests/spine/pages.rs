//! Public pages: what people see without a key, and what they never see.
//!
//! Invariant: what is hidden is neither on a page, in its feeds and linked data, nor found.
//! Not here: how pages look in a browser (`browser`), their headers (`tests/face`).

use crate::bed::{Bed, JSON, OPERATOR, on_both};
use crate::demo::season;
use crate::events::{create, id};
use openevent_server::app::demo::Ground;
use openevent_testkit::Reply;
use serde_json::{Value, json};

const BROWSER: (&str, &str) = ("accept", "text/html");
/// 3 December 2026, 17:00 UTC; tests begin in January 2026.
const EVENING: i64 = 1_796_317_200_000;

async fn page(bed: &Bed, path: &str) -> Reply {
    bed.send("GET", path, &[BROWSER], "").await
}

async fn html(bed: &Bed, path: &str) -> String {
    let reply = page(bed, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    reply.text()
}

/// The page's linked data.
fn linked(html: &str) -> Value {
    let begin = "<script type=\"application/ld+json\">";
    let text = html.split(begin).nth(1).and_then(|rest| rest.split("</script>").next());
    serde_json::from_str(text.expect("linked data")).expect("JSON")
}

/// The address a `rel="next"` link has.
fn next(html: &str) -> Option<String> {
    let href = html.split("rel=\"next\" href=\"").nth(1)?.split('"').next()?;
    Some(href.replace("&#38;", "&"))
}

async fn open(bed: &Bed, mut body: Value) -> String {
    body["isPublic"] = true.into();
    body["status"] = "active".into();
    id(&create(bed, body).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_what_is_public_and_live_and_nothing_that_is_hidden() {
    on_both(async |bed: &Bed| {
        let secret = json!({"title": "Open Evening", "startDate": EVENING, "endDate": EVENING + 10_800_000,
            "timezone": "America/New_York", "eventType": "meetup", "locationType": "hybrid", "description": "All about tea.",
            "venueName": "Hidden Hall", "venueAddress": "1 Hidden Street", "virtualPlatform": "https://hidden.example.org",
            "expectedAttendees": 4711, "budget": 9876, "budgetCurrency": "CHF", "requirements": {"hiddenPower": "32 A"},
            "seekingVendors": true, "vendorCategories": ["catering"]});
        let event = open(bed, secret.clone()).await;
        let path = format!("/events/{event}");
        let draft = id(&create(bed, json!({"title": "A draft", "startDate": EVENING, "isPublic": true})).await);
        let private = id(&create(bed, json!({"title": "A private one", "startDate": EVENING, "status": "active"})).await);

        let (list, one) = (html(bed, "/events").await, html(bed, &path).await);
        let feed = bed.send("GET", "/events.atom", &[], "").await;
        let calendars = [page(bed, "/events.ics").await.text(), page(bed, &format!("{path}.ics")).await.text()];

        assert!(list.contains("Open Evening") && list.contains("Thu 3 December 2026, 12:00"), "{list}");
        assert!(!list.contains("A draft") && !list.contains("A private one"));
        assert!(one.contains("datetime=\"2026-12-03T12:00:00-05:00\"") && one.contains("New York time"), "{one}");
        assert!(one.contains("Vendors wanted") && one.contains("Catering") && !one.contains("Sponsors wanted"));
        for text in [&list, &one, &feed.text(), &calendars[0], &calendars[1]] {
            for hidden in ["idden Hall", "Hidden Street", "hidden.example.org", "4711", "9876", "idden power", "CHF"] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
            assert!(text.contains("Open Evening"), "{text}");
        }
        for path in [format!("/events/{draft}"), format!("/events/{private}"), "/events/x".to_owned(), "/vendors/x".to_owned()] {
            let missing = page(bed, &path).await;
            assert_eq!(missing.status, 404, "{path}");
            assert!(missing.text().contains("There is nothing here"), "{path}");
        }
        assert!(!html(bed, "/events?search=hidden").await.contains("Open Evening"));
        let told = linked(&one);
        assert_eq!((&told["@type"], &told["startDate"]), (&json!("Event"), &json!("2026-12-03T12:00:00-05:00")));
        assert!(told.get("location").is_none() && told.get("offers").is_none(), "{told}");

        let shown = json!({"publicVisibility": {"showVenue": true, "showAttendees": true, "showBudget": true, "showRequirements": true}});
        let changed = bed.send("PATCH", &format!("/api/v1{path}"), &[OPERATOR, JSON], shown.to_string()).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let one = html(bed, &path).await;
        for part in ["Hidden Hall and online", "1 Hidden Street", "4711 people", "CHF 9876", "Hidden power", "32 A"] {
            assert!(one.contains(part), "{part} in {one}");
        }
        assert_eq!(linked(&one)["location"][0]["name"], "Hidden Hall");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_stay_texts() {
    on_both(async |bed: &Bed| {
        let hostile = "</script><script>alert(1)</script> & \"><img src=x onerror=alert(2)> '\u{1}\u{202e}";
        let event = open(bed, json!({"title": hostile, "startDate": EVENING, "description": hostile, "eventType": hostile,
            "seekingVendors": true, "vendorCategories": [hostile], "seekingSponsors": true, "sponsorBenefits": hostile,
            "requirements": {"<i>": hostile}, "venueName": hostile, "virtualPlatform": "https://x.example/\"><script>",
            "publicVisibility": {"showVenue": true, "showRequirements": true}})).await;
        let vendor = json!({"name": hostile, "category": hostile, "description": hostile, "services": [hostile]});
        let vendor = id(&bed.post("/api/v1/vendors", &vendor).await.json()["data"]);
        let approved = bed.send("POST", &format!("/api/v1/vendors/{vendor}/approve"), &[OPERATOR], "").await;
        assert_eq!(approved.status, 200, "{}", approved.text());
        let query = "search=%22%3E%3Cscript%3E&eventType=%22%3E%3Cscript%3E&category=%22%3E%3Cscript%3E";
        for path in ["/events", &format!("/events/{event}"), "/vendors", &format!("/vendors/{vendor}"),
            &format!("/events?{query}"), &format!("/vendors?{query}")] {
            let reply = page(bed, path).await;
            let text = reply.text();
            assert_eq!(text.matches("<script").count(), 1, "linked data alone: {path}: {text}");
            assert!(!text.contains("<img") && !text.contains("<i>"), "{path}: {text}");
            let policy = reply.header("content-security-policy").expect("a policy").to_owned();
            assert!(policy.contains("script-src 'self' 'sha256-") && !policy.contains("unsafe"), "{policy}");
            assert!(linked(&text)["@context"] == "https://schema.org", "{path}");
        }
        let feed = bed.send("GET", "/events.atom", &[], "").await.text();
        assert!(!feed.contains("<script") && !feed.contains('\u{1}') && feed.contains("alert(1)"), "{feed}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_lead_through_all_that_a_filter_finds_and_each_comes_once() {
    on_both(async |bed: &Bed| {
        season(bed, 3, Ground::MustBeEmpty).await.expect("an empty project");
        for (path, api, folder) in [
            ("/events?when=any&limit=7", "/api/v1/public/events", "/events/evt_"),
            (
                "/events?when=any&limit=3&seekingVendors=true",
                "/api/v1/public/events?seekingVendors=true",
                "/events/evt_",
            ),
            ("/events?when=any&limit=2&search=the", "/api/v1/public/events?search=the", "/events/evt_"),
            ("/vendors?limit=9", "/api/v1/public/vendors", "/vendors/dir_"),
            (
                "/vendors?limit=2&category=catering",
                "/api/v1/public/vendors?category=catering",
                "/vendors/dir_",
            ),
        ] {
            let (mut seen, mut at) = (Vec::new(), Some(path.to_owned()));
            while let Some(here) = at {
                let text = html(bed, &here).await;
                let links = text.split("<h2><a href=\"").skip(1).filter_map(|rest| rest.split('"').next());
                seen.extend(links.map(str::to_owned));
                at = next(&text);
            }
            let total = bed.send("GET", api, &[], "").await.json()["meta"]["total"].as_i64();
            assert!(seen.iter().all(|link| link.starts_with(folder)), "{path}: {seen:?}");
            assert_eq!(Some(seen.len() as i64), total, "{path}");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(Some(seen.len() as i64), total, "{path}");
        }
        let coming = html(bed, "/events").await;
        assert!(coming.contains("rel=\"canonical\"") && !coming.contains("noindex"));
        assert!(
            html(bed, "/events?search=x").await.contains("noindex"),
            "answers to questions are not for indexes"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_is_shown_without_contacts_once_approved() {
    on_both(async |bed: &Bed| {
        let body = json!({"name": "Tea House", "category": "catering", "description": "Tea.", "rating": 4.5, "reviewCount": 2,
            "website": "https://tea.example.org", "contactName": "Hidden Desk", "contactEmail": "hidden@example.org", "contactPhone": "555-0199"});
        let vendor = id(&bed.post("/api/v1/vendors", &body).await.json()["data"]);
        let path = format!("/vendors/{vendor}");
        assert_eq!(page(bed, &path).await.status, 404);
        assert!(!html(bed, "/vendors").await.contains("Tea House"));
        bed.send("POST", &format!("/api/v1{path}/approve"), &[OPERATOR], "").await;
        let (list, one) = (html(bed, "/vendors?search=tea").await, html(bed, &path).await);
        for text in [&list, &one] {
            assert!(text.contains("Tea House") && text.contains("4.5 of 5"), "{text}");
            for hidden in ["Hidden Desk", "hidden@", "555-0199"] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
        }
        assert_eq!(linked(&one)["aggregateRating"]["reviewCount"], 2);
        assert!(one.contains("rel=\"nofollow noopener ugc\">https://tea.example.org"), "{one}");
    })
    .await;
}

#[tokio::test]
async fn public_pages_count_against_the_address_and_say_so_as_a_page() {
    let bed = Bed::sqlite().await;
    let reply = page(&bed, "/events").await;
    let left: i64 = reply.header("x-ratelimit-remaining").expect("counted").parse().expect("a number");
    let again = page(&bed, "/vendors").await;
    assert_eq!(again.header("x-ratelimit-remaining"), Some((left - 1).to_string().as_str()));
    let wrong = page(&bed, "/events?locationType=moon").await;
    assert_eq!((wrong.status, wrong.header("content-type")), (400, Some("text/html; charset=utf-8")));
    bed.end().await;
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn post(bed: &Bed, path: &str, body: &str) -> Reply {
    bed.send("POST", path, &[BROWSER, FORM], body.to_owned()).await
}

/// Where an answer leads.
fn onward(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location").expect("a location").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_join_the_directory_and_apply_to_an_event_by_forms() {
    on_both(async |bed: &Bed| {
        let event = open(bed, json!({"title": "Fair", "startDate": EVENING, "seekingVendors": true})).await;
        let quiet = open(bed, json!({"title": "Quiet", "startDate": EVENING})).await;
        let apply = format!("/events/{event}/apply");
        assert!(html(bed, &format!("/events/{event}")).await.contains(&format!("href=\"{apply}\"")));
        assert!(html(bed, &apply).await.contains("value=\"vendor\"") && !html(bed, &apply).await.contains("value=\"sponsor\""));
        assert_eq!(page(bed, &format!("/events/{quiet}/apply")).await.status, 404);

        let wrong = post(bed, "/vendors/apply", "name=Tea+%3Cb%3E&contactEmail=nobody&website=").await;
        let joined = onward(&post(bed, "/vendors/apply", "name=Tea&category=catering&contactName=Ada&contactEmail=ada%40tea.example").await);
        let waiting = html(bed, &joined).await;
        let vendor = waiting.split("<code>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id").to_owned();
        let approved = bed.send("POST", &format!("/api/v1/vendors/{vendor}/approve"), &[OPERATOR], "").await;
        let early = post(bed, &apply, "applicantType=vendor&applicantId=dir_x&contactName=Ada&contactEmail=ada%40tea.example").await;
        let filled = format!("applicantType=vendor&applicantId={vendor}&message=Tea%21&proposedBudget=120.50&contactName=Ada&contactEmail=ada%40tea.example");
        let sent = onward(&post(bed, &apply, &filled).await);
        let again = post(bed, &apply, &filled).await;

        let text = wrong.text();
        assert_eq!(wrong.status, 400, "{text}");
        assert!(text.contains("Category: field is required") && text.contains("Your e-mail: must be"), "{text}");
        assert!(text.contains("value=\"Tea &#60;b&#62;\"") && wrong.header("cache-control") == Some("no-store"), "{text}");
        assert!(waiting.contains("Nobody has looked at it yet") && approved.status == 200, "{waiting}");
        assert!(html(bed, &joined).await.contains("It was approved."));
        assert!(early.status == 400 && early.text().contains("Directory id: names no approved vendor"), "{}", early.text());
        assert!(again.status == 409 && again.text().contains("open application"), "{}", again.text());
        assert!(html(bed, &sent).await.contains("Fair"));
        let found = bed.data(&format!("/api/v1/events/{event}/applications")).await;
        assert_eq!((&found[0]["applicantId"], &found[0]["verified"]), (&json!(vendor), &json!(true)));
        assert_eq!((&found[0]["proposedBudget"], &found[0]["message"]), (&json!(120.5), &json!("Tea!")));
        assert_eq!(page(bed, "/applications/0000").await.status, 404);
        let other = bed.send("POST", &apply, &[BROWSER, JSON], "{}").await;
        assert_eq!(other.status, 415, "forms only: {}", other.text());
    })
    .await;
}
