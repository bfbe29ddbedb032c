//! Filling a project with a demo season.

use crate::bed::{Bed, on_both};
use openevent_domain::planning::demo::{Season, Size};
use openevent_domain::tenant::{Environment, Tenant};
use openevent_server::app::demo::{Depth, FillError, Filled, Ground, fill};
use serde_json::json;

const SIZE: Size = Size { events: 60, vendors: 60, sponsors: 24 };

/// Fills the operator's own project.
pub(crate) async fn season(bed: &Bed, seed: u64, ground: Ground) -> Result<Filled, FillError> {
    let tenant = Tenant::of(&bed.app.keyring.operator().project_id, Environment::Live);
    let season = Season::new(seed, bed.app.clock.now(), SIZE);
    fill(&bed.app.store, &tenant, season, Depth::Whole, ground, |_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_filled_once_and_says_nothing_about_it() {
    on_both(async |bed: &Bed| {
        let filled = season(bed, 1, Ground::MustBeEmpty).await.expect("an empty project");
        let again = season(bed, 1, Ground::MustBeEmpty).await;

        assert!(matches!(again, Err(FillError::Taken)), "{again:?}");
        assert_eq!((filled.events, filled.vendors, filled.sponsors), (60, 60, 24));
        assert!(filled.tasks > 600 && filled.budget_items > 540, "{filled:?}");
        assert_eq!(bed.signals_total().await, 0);
        let total = |reply: openevent_testkit::Reply| reply.json()["meta"]["total"].clone();
        assert_eq!(total(bed.get("/api/v1/events?limit=1").await), json!(60));
        assert_eq!(total(bed.get("/api/v1/vendors?status=all").await), json!(60));
        let event = bed.data("/api/v1/events?status=active&limit=1").await[0].clone();
        let path = format!("/api/v1/events/{}", event["id"].as_str().expect("an id"));
        assert!(total(bed.get(&format!("{path}/tasks")).await).as_i64() > Some(8));
        assert!(total(bed.get(&format!("{path}/budget")).await).as_i64() >= Some(9));
        assert!(filled.relations > 100 && filled.applications > 40, "{filled:?}");
        let open = bed.data("/api/v1/events?status=completed&limit=100").await;
        for event in open.as_array().expect("a list") {
            let path = format!("/api/v1/events/{}", event["id"].as_str().expect("an id"));
            for folder in ["vendors", "sponsors", "applications"] {
                let reply = bed.get(&format!("{path}/{folder}?limit=100")).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                for one in reply.json()["data"].as_array().expect("a list") {
                    let known = ["vendorName", "sponsorName", "applicantName"]
                        .iter()
                        .any(|name| one[*name].is_string());
                    assert!(known && one["eventId"] == event["id"], "{one}");
                }
            }
        }
        assert!(bed.data(&format!("{path}/budget/summary")).await["planned"].as_f64() > Some(0.0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_of_another_seed_is_added_when_that_is_wanted() {
    on_both(async |bed: &Bed| {
        season(bed, 1, Ground::MustBeEmpty).await.expect("an empty project");
        season(bed, 2, Ground::MayBeTaken).await.expect("it was wanted");
        assert_eq!(bed.get("/api/v1/events?limit=1").await.json()["meta"]["total"], json!(120));
    })
    .await;
}
