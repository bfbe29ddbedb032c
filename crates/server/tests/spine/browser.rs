//! Pages in a real browser: nothing is refused, nothing is missing, nothing is loaded from elsewhere.
//!
//! Invariant: a page that the browser complains about is not finished.
//! Not here: what the pages say (`pages`).

use crate::bed::Bed;
use crate::demo::season;
use openevent_server::app::demo::Ground;
use openevent_testkit::visit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_has_nothing_to_complain_about() {
    let bed = Bed::sqlite().await;
    season(&bed, 1, Ground::MustBeEmpty).await.expect("an empty project");
    let first = |list: &serde_json::Value| list[0]["id"].as_str().expect("an id").to_owned();
    let event = first(&bed.data("/api/v1/public/events?seekingVendors=true").await);
    let vendor = first(&bed.data("/api/v1/public/vendors").await);
    for (path, wanted) in [
        ("/".to_owned(), "<h1"),
        ("/events".to_owned(), "rel=\"next\""),
        (format!("/events/{event}"), "Add to calendar"),
        (format!("/vendors/{vendor}"), "Directory id"),
        ("/docs".to_owned(), "/api/v1/events/{id}/clone"),
    ] {
        let seen = visit(&bed.url(&path), 390, 844).await;
        assert!(seen.dom.contains(wanted), "{path}: {}", seen.dom);
        assert_eq!(seen.complaints, Vec::<String>::new(), "{path}");
    }
    let missing = visit(&bed.url("/nothing"), 1280, 900).await;
    assert!(missing.dom.contains("There is nothing here"), "{}", missing.dom);
    bed.end().await;
}
