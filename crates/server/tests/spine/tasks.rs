//! Tasks of planned events.
//!
//! Invariant: what waits for what never has a circle, whoever writes at the same time.
//! Not here: reading fields one by one (the domain's own tests).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::events::{create, id};
use openevent_testkit::Reply;
use serde_json::{Value, json};

async fn event(bed: &Bed) -> String {
    let event = create(bed, json!({"title": "T", "startDate": 5})).await;
    format!("/api/v1/events/{}", id(&event))
}

async fn task(bed: &Bed, event: &str, body: Value) -> String {
    let reply = bed.post(&format!("{event}/tasks"), &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    id(&reply.json()["data"])
}

async fn patch(bed: &Bed, path: &str, body: Value) -> Reply {
    bed.send("PATCH", path, &[OPERATOR, JSON], body.to_string()).await
}

async fn told(bed: &Bed, name: &str) -> usize {
    let list = bed.data(&format!("/api/v1/signals?limit=100&name={name}")).await;
    list.as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_made_changed_completed_once_and_removed() {
    on_both(async |bed: &Bed| {
        let event = event(bed).await;
        let body =
            json!({"title": " Book hall ", "priority": "high", "dueDate": 7, "assignee": "Ada", "odd": 1});

        let made = bed.post(&format!("{event}/tasks"), &body).await;
        let data = made.json()["data"].clone();
        let path = format!("{event}/tasks/{}", id(&data));
        let done = patch(bed, &path, json!({"status": "completed", "dueDate": null})).await;
        let again = patch(bed, &path, json!({"status": "completed"})).await;
        let born_done = task(bed, &event, json!({"title": "Done", "status": "completed"})).await;

        assert_eq!((made.status, made.header("location")), (201, Some(path.as_str())));
        assert_eq!(made.json()["meta"], json!({"created": true, "ignoredFields": ["odd"]}));
        assert_eq!((&data["title"], &data["status"]), (&json!("Book hall"), &json!("todo")));
        assert_eq!((&data["_id"], &event[15..]), (&data["id"], data["eventId"].as_str().expect("an id")));
        let done = done.json()["data"].clone();
        assert!(done["completedAt"].is_i64() && done.get("dueDate").is_none(), "{done}");
        assert_eq!((again.status, &again.json()["data"]), (200, &done));
        assert_eq!((told(bed, "task.created").await, told(bed, "task.completed").await), (2, 2));
        let listed = bed.data(&format!("{event}/tasks?priority=high")).await;
        assert_eq!(listed.as_array().map(Vec::len), Some(1));
        assert_eq!(
            bed.data(&format!("{event}/tasks?status=completed&limit=1")).await[0]["id"],
            born_done.as_str()
        );
        let gone = bed.send("DELETE", &path, &[OPERATOR], "").await;
        assert_eq!((gone.status, bed.get(&path).await.status), (200, 404));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_itself_or_for_nothing_is_refused() {
    on_both(async |bed: &Bed| {
        let (event, other) = (event(bed).await, event(bed).await);
        let first = task(bed, &event, json!({"title": "1"})).await;
        let second = task(bed, &event, json!({"title": "2", "blockedBy": [first]})).await;
        let theirs = task(bed, &other, json!({"title": "3"})).await;

        for (body, path) in [
            (json!({"blockedBy": [second]}), &first),
            (json!({"blockedBy": [first]}), &first),
            (json!({"blockedBy": [theirs]}), &first),
            (json!({"blockedBy": ["tsk_00000000000000000000000000000000"]}), &first),
        ] {
            let refused = patch(bed, &format!("{event}/tasks/{path}"), body.clone()).await;
            assert_eq!((refused.status, code(&refused).as_str()), (400, "VALIDATION_ERROR"), "{body}");
        }
        let elsewhere = bed.get(&format!("{other}/tasks/{first}")).await;
        let gone = bed.send("DELETE", &format!("{event}/tasks/{first}"), &[OPERATOR], "").await;

        assert_eq!((elsewhere.status, gone.status), (404, 200));
        assert_eq!(bed.data(&format!("{event}/tasks/{second}")).await["blockedBy"], json!([]));
        assert_eq!(bed.data(&format!("{event}/tasks/{second}")).await["title"], "2");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tasks_made_to_wait_for_each_other_at_once_do_not_both() {
    on_both(async |bed: &Bed| {
        let event = event(bed).await;
        for _ in 0..5 {
            let (a, b) = (
                task(bed, &event, json!({"title": "a"})).await,
                task(bed, &event, json!({"title": "b"})).await,
            );
            let (path_a, path_b) = (format!("{event}/tasks/{a}"), format!("{event}/tasks/{b}"));

            let (first, second) = tokio::join!(
                patch(bed, &path_a, json!({"blockedBy": [b]})),
                patch(bed, &path_b, json!({"blockedBy": [a]})),
            );

            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_go_with_their_event_and_never_outlive_it() {
    on_both(async |bed: &Bed| {
        let event = event(bed).await;
        let path = format!("{event}/tasks");
        let body = json!({"title": "t"});

        let (a, gone, b) = tokio::join!(
            bed.post(&path, &body),
            bed.send("DELETE", &event, &[OPERATOR], ""),
            bed.post(&path, &body),
        );

        assert_eq!(gone.status, 200);
        for made in [a, b] {
            assert!(matches!(made.status, 201 | 404), "{}", made.text());
        }
        assert_eq!(bed.get(&path).await.status, 404);
        assert_eq!(bed.post(&path, &body).await.status, 404);
    })
    .await;
}
