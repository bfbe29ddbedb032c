//! Requests at one time: each is decided on what is true, one after the other.
//!
//! Invariant: of two that exclude each other one is done and one refused; none is lost and none half done.
//! Not here: circles of tasks (see `tasks`).

use crate::bed::{Bed, code, on_both};
use crate::events::{create, id, patch};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/events";
/// Times that two requests meet.
const ROUNDS: usize = 25;

async fn total(bed: &Bed, path: &str) -> i64 {
    bed.get(&format!("{path}limit=1")).await.json()["meta"]["total"].as_i64().expect("a total")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_events_made_at_once_are_five_hundred_rows_and_signals() {
    on_both(async |bed: &Bed| {
        let making = (0..500).map(|n| create(bed, json!({"title": format!("T{n}"), "startDate": n})));
        let made = futures::future::join_all(making).await;

        let ids: std::collections::BTreeSet<String> = made.iter().map(id).collect();
        assert_eq!(ids.len(), 500);
        assert_eq!(total(bed, &format!("{PATH}?")).await, 500);
        assert_eq!(bed.signals_total().await, 500);
        assert_eq!(total(bed, "/api/v1/signals?name=event.created&").await, 500);
        assert_eq!(total(bed, &format!("{PATH}?search=t499&")).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_conflicting_moves_one_is_made_and_one_refused() {
    on_both(async |bed: &Bed| {
        for round in 0..ROUNDS {
            let event = create(bed, json!({"title": "T", "startDate": 5, "status": "active"})).await;
            let event = id(&event);

            let (done, off) = tokio::join!(
                patch(bed, &event, json!({"status": "completed"}), &[]),
                patch(bed, &event, json!({"status": "cancelled"}), &[]),
            );

            let statuses = [done.status, off.status];
            assert!(statuses == [200, 400] || statuses == [400, 200], "round {round}: {statuses:?}");
            let (winner, loser) = if done.status == 200 { (&done, &off) } else { (&off, &done) };
            assert_eq!(code(loser), "BAD_REQUEST");
            let now = bed.data(&format!("{PATH}/{event}")).await;
            assert_eq!(now["status"], winner.json()["data"]["status"], "the answer says what is so");
        }
        let moved = total(bed, "/api/v1/signals?name=event.status_changed&").await;
        assert_eq!(moved, ROUNDS as i64, "a refused move says nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_changes_of_one_version_one_is_told_that_it_is_late() {
    on_both(async |bed: &Bed| {
        for round in 0..ROUNDS {
            let event = id(&create(bed, json!({"title": "T", "startDate": 5})).await);
            let tag = bed.get(&format!("{PATH}/{event}")).await.header("etag").expect("a tag").to_owned();
            let if_match = [("if-match", tag.as_str())];

            let (one, two) = tokio::join!(
                patch(bed, &event, json!({"title": "one"}), &if_match),
                patch(bed, &event, json!({"title": "two"}), &if_match),
            );

            let statuses = [one.status, two.status];
            assert!(statuses == [200, 412] || statuses == [412, 200], "round {round}: {statuses:?}");
            let title = if one.status == 200 { "one" } else { "two" };
            assert_eq!(bed.data(&format!("{PATH}/{event}")).await["title"], title);
        }
        assert_eq!(total(bed, "/api/v1/signals?name=event.updated&").await, ROUNDS as i64);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_different_fields_at_one_time_all_arrive() {
    on_both(async |bed: &Bed| {
        let event = id(&create(bed, json!({"title": "T", "startDate": 5})).await);
        let changes: [Value; 6] = [
            json!({"title": "New"}),
            json!({"description": "D"}),
            json!({"venueName": "V"}),
            json!({"expectedAttendees": 7}),
            json!({"status": "planning"}),
            json!({"isPublic": true}),
        ];

        let replies = changes.iter().map(|change| patch(bed, &event, change.clone(), &[]));
        let replies = futures::future::join_all(replies).await;

        assert!(replies.iter().all(|reply| reply.status == 200));
        let now = bed.data(&format!("{PATH}/{event}")).await;
        for change in &changes {
            for (field, value) in change.as_object().expect("an object") {
                assert_eq!(&now[field], value, "{field}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_deleted_while_it_is_changed_is_gone_and_nothing_of_it_stays() {
    on_both(async |bed: &Bed| {
        for round in 0..ROUNDS {
            let event = id(&create(bed, json!({"title": "T", "startDate": 5})).await);
            let path = format!("{PATH}/{event}");
            let (tasks, title) = (format!("{path}/tasks"), json!({"title": "late"}));

            let (deleted, changed, task) = tokio::join!(
                bed.send("DELETE", &path, &[crate::bed::OPERATOR], ""),
                patch(bed, &event, title.clone(), &[]),
                bed.post(&tasks, &title),
            );

            assert_eq!(deleted.status, 200, "round {round}: {}", deleted.text());
            assert!(matches!(changed.status, 200 | 404), "round {round}: {}", changed.text());
            assert!(matches!(task.status, 201 | 404), "round {round}: {}", task.text());
            assert_eq!(bed.get(&path).await.status, 404);
            assert_eq!(bed.get(&tasks).await.status, 404);
        }
        assert_eq!(total(bed, &format!("{PATH}?")).await, 0);
    })
    .await;
}
