//! Planned events: making, reading, changing, copying and removing them.
//!
//! Invariant: what is refused or changes nothing leaves no trace, neither a row nor a signal.
//! Not here: lists (`event_lists`), other tenants (`tenants`).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use openevent_testkit::Reply;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PATH: &str = "/api/v1/events";

pub(crate) async fn create(bed: &Bed, body: Value) -> Value {
    let reply = bed.post(PATH, &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["data"].clone()
}

pub(crate) async fn patch(bed: &Bed, id: &str, body: Value, more: &[(&str, &str)]) -> Reply {
    let headers = [&[OPERATOR, JSON], more].concat();
    bed.send("PATCH", &format!("{PATH}/{id}"), &headers, body.to_string()).await
}

pub(crate) fn id(event: &Value) -> String {
    event["id"].as_str().expect("an id").to_owned()
}

/// Names and payloads of the signals there are, oldest first.
async fn signals(bed: &Bed) -> Vec<(String, Value)> {
    let list = bed.data("/api/v1/signals?sort=receivedAt&limit=100").await;
    let all = list.as_array().expect("a list").iter();
    all.map(|one| (one["name"].as_str().expect("a name").to_owned(), one["payload"].clone())).collect()
}

fn refused_fields(reply: &Reply) -> BTreeSet<String> {
    assert_eq!((reply.status, code(reply).as_str()), (400, "VALIDATION_ERROR"), "{}", reply.text());
    let details = reply.json()["error"]["details"].clone();
    let fields =
        details.as_array().expect("a list").iter().map(|one| one["field"].as_str().expect("a field"));
    fields.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_snippets_work_as_written() {
    on_both(async |bed: &Bed| {
        let key = bed.key(&["events:*"]).await;
        let key = ("x-api-key", key.as_str());
        let body = json!({
            "title": "Tech Conference 2025", "startDate": 1_735_689_600_000_i64, "eventType": "conference",
            "locationType": "in-person", "venueName": "Convention Center", "expectedAttendees": 500,
            "budget": 50000, "budgetCurrency": "USD",
        });

        let made = bed.send("POST", PATH, &[key, JSON], body.to_string()).await;
        let id = made.json()["data"]["eventId"].as_str().expect("an id").to_owned();
        let path = format!("{PATH}/{id}");
        let changed = bed.send("PATCH", &path, &[key, JSON], r#"{"status":"planning","budget":75000}"#).await;
        let list = bed.send("GET", &format!("{PATH}?status=planning&limit=10"), &[key], "").await.json();
        let gone = bed.send("DELETE", &path, &[key], "").await;

        assert_eq!((made.status, made.header("location")), (201, Some(path.as_str())));
        assert_eq!(made.json()["meta"], json!({"created": true}));
        assert_eq!((changed.status, &changed.json()["data"]["budget"]), (200, &json!(75000)));
        assert_eq!((&list["data"][0]["_id"], &list["data"][0]["id"]), (&json!(id), &json!(id)));
        let meta = json!({"total": 1, "page": 1, "limit": 10, "totalPages": 1, "hasMore": false});
        assert_eq!(list["meta"], meta);
        assert_eq!(gone.json(), json!({"success": true, "data": {"deleted": true}}));
        assert_eq!(bed.send("GET", &path, &[key], "").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_is_told_at_once_and_nothing_is_kept() {
    on_both(async |bed: &Bed| {
        let body = json!({
            "title": "x".repeat(201), "endDate": "later", "budget": -1, "status": "completed",
            "timezone": "Mars/Olympus", "virtualPlatform": "not a url",
        });
        let names = ["title", "startDate", "endDate", "budget", "status", "timezone", "virtualPlatform"];

        let reply = bed.post(PATH, &body).await;
        let backwards = bed.post(PATH, &json!({"title": "T", "startDate": 10, "endDate": 9})).await;

        assert_eq!(refused_fields(&reply), names.map(str::to_owned).into());
        assert_eq!(refused_fields(&backwards), ["endDate".to_owned()].into());
        assert_eq!(bed.data(PATH).await, json!([]));
        assert_eq!(bed.signals_total().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_not_the_callers_have_no_effect_and_are_named() {
    on_both(async |bed: &Bed| {
        let theirs = json!({
            "userId": "u", "_id": "evt_1", "id": "evt_1", "eventId": "evt_1", "createdAt": 1, "updatedAt": 1,
            "projectId": "p", "createdBy": "me", "statusChangedAt": 1,
        });
        let names: BTreeSet<_> = theirs.as_object().unwrap().keys().cloned().collect();
        let with = |mut body: Value| {
            body.as_object_mut().unwrap().extend(theirs.as_object().unwrap().clone());
            body
        };

        let made = bed.post(PATH, &with(json!({"title": "T", "startDate": 5}))).await.json();
        let id = id(&made["data"]);
        let before = bed.data(&format!("{PATH}/{id}")).await;
        let changed = patch(bed, &id, theirs.clone(), &[]).await;

        let named = |meta: &Value| -> BTreeSet<String> {
            serde_json::from_value(meta["ignoredFields"].clone()).expect("names")
        };
        assert_eq!((named(&made["meta"]), &made["meta"]["created"]), (names.clone(), &json!(true)));
        assert_eq!((changed.status, named(&changed.json()["meta"])), (200, names));
        assert_eq!(changed.json()["data"], before);
        assert_eq!(before["createdBy"], "operator");
        assert_eq!(signals(bed).await.len(), 1, "a change that changes nothing is not told");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_with_what_changed_and_starts_workflows() {
    on_both(async |bed: &Bed| {
        let strict = "input: { schema: { document: { type: array, items: { properties: { data: { required: [never] } } } } } }\n";
        bed.load("follow", "{ type: event.status_changed }", "do:\n- note:\n    set: { n: 1 }\n").await;
        bed.load("strict", "{ type: event.updated }", &format!("{strict}do:\n- note:\n    set: {{ n: 1 }}\n")).await;
        let event = create(bed, json!({"title": "T", "startDate": 5, "description": "d"})).await;

        let body = json!({"title": "U", "description": null, "status": "planning", "isPublic": false});
        let changed = patch(bed, &id(&event), body, &[]).await;

        assert_eq!((changed.status, changed.json()["data"].get("description")), (200, None));
        let told = signals(bed).await;
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["event.created", "event.updated", "event.status_changed"]);
        assert_eq!(told[1].1["changedFields"], json!(["description", "status", "title"]));
        assert_eq!(told[1].1["changes"], json!({"description": null, "status": "planning", "title": "U"}));
        assert_eq!((&told[2].1["previousStatus"], &told[2].1["status"]), (&json!("draft"), &json!("planning")));
        assert_eq!(told[2].1["eventId"], event["id"]);
        let runs = bed.data("/api/v1/runs").await;
        let ran: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["workflow"]["name"].clone()).collect();
        assert_eq!(ran, ["follow"], "a workflow that refuses the event is left out, the change is made");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_changes_and_tells_nothing() {
    on_both(async |bed: &Bed| {
        let event = create(bed, json!({"title": "T", "startDate": 5})).await;
        let id = id(&event);
        let before = bed.data(&format!("{PATH}/{id}")).await;

        for (body, expected) in [
            (json!({}), "BAD_REQUEST"),
            (json!({"title": "U", "status": "completed"}), "BAD_REQUEST"),
            (json!({"title": "U", "status": "active"}), "BAD_REQUEST"),
            (json!({"title": null}), "VALIDATION_ERROR"),
            (json!({"title": "U", "budget": "x"}), "VALIDATION_ERROR"),
            (json!({"status": "ready"}), "VALIDATION_ERROR"),
            (json!([]), "VALIDATION_ERROR"),
        ] {
            let reply = patch(bed, &id, body.clone(), &[]).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, expected), "{body}");
        }
        let same = patch(bed, &id, json!({"status": "draft", "title": "T"}), &[]).await;

        assert_eq!((same.status, &same.json()["data"]), (200, &before));
        assert_eq!(signals(bed).await.len(), 1);
        for path in ["x", "evt_x", "evt_00000000000000000000000000000000", "evt_1%00", "..%2f..", "x.ics"] {
            let missing = bed.get(&format!("{PATH}/{path}")).await;
            assert_eq!((missing.status, code(&missing).as_str()), (404, "NOT_FOUND"), "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_conflicting_moves_at_once_one_is_made() {
    on_both(async |bed: &Bed| {
        for _ in 0..10 {
            let event = create(bed, json!({"title": "T", "startDate": 5, "status": "active"})).await;
            let id = id(&event);

            let (a, b) = tokio::join!(
                patch(bed, &id, json!({"status": "completed"}), &[]),
                patch(bed, &id, json!({"status": "cancelled"}), &[]),
            );

            let mut statuses = [a.status, b.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400]);
            let winner = if a.status == 200 { "completed" } else { "cancelled" };
            assert_eq!(bed.data(&format!("{PATH}/{id}")).await["status"], winner);
        }
        let moves = signals(bed).await.into_iter().filter(|(name, _)| name == "event.status_changed").count();
        assert_eq!(moves, 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_overwrites_what_they_have_not_seen() {
    on_both(async |bed: &Bed| {
        let event = create(bed, json!({"title": "T", "startDate": 5, "expectedAttendees": 0})).await;
        let (id, path) = (id(&event), format!("{PATH}/{}", id(&event)));
        let seen = bed.get(&path).await.header("etag").expect("a tag").to_owned();
        let seen = [("if-match", seen.as_str())];

        let (a, b) = tokio::join!(
            patch(bed, &id, json!({"title": "A"}), &seen),
            patch(bed, &id, json!({"title": "B"}), &seen),
        );
        let gone = bed.send("DELETE", &path, &[OPERATOR, seen[0]], "").await;
        // Without the header both fields arrive, whoever was first.
        let (c, d) = tokio::join!(
            patch(bed, &id, json!({"venueName": "Hall"}), &[]),
            patch(bed, &id, json!({"expectedAttendees": 7}), &[]),
        );

        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!((statuses, gone.status, c.status, d.status), ([200, 412], 412, 200, 200));
        let now = bed.get(&path).await;
        let data = now.json()["data"].clone();
        assert_eq!((&data["venueName"], &data["expectedAttendees"]), (&json!("Hall"), &json!(7)));
        let unchanged = [OPERATOR, ("if-none-match", now.header("etag").expect("a tag"))];
        assert_eq!(bed.send("GET", &path, &unchanged, "").await.status, 304);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_twice_under_one_key_is_one() {
    on_both(async |bed: &Bed| {
        let once = [OPERATOR, JSON, ("idempotency-key", "event-1")];
        let body = r#"{"title":"T","startDate":5}"#;

        let first = bed.ingest(&once, body).await;
        let again = bed.ingest(&once, body).await;

        assert_eq!((first.status, again.status), (201, 201));
        assert_eq!((&first.body, again.header("idempotency-replayed")), (&again.body, Some("true")));
        assert_eq!(bed.data(PATH).await.as_array().unwrap().len(), 1);
        assert_eq!(bed.signals_total().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_a_draft_on_other_days() {
    on_both(async |bed: &Bed| {
        // 28 March 2026, 09:00 to 17:00 in Berlin; the night after it, clocks are set.
        let body = json!({
            "title": "Spring", "startDate": 1_774_684_800_000_i64, "endDate": 1_774_713_600_000_i64,
            "timezone": "Europe/Berlin", "status": "active", "budget": 0.1,
        });
        let event = create(bed, body).await;
        let path = format!("{PATH}/{}/clone", id(&event));

        let copy = bed.post(&path, &json!({"shiftDays": 7, "title": "Again", "_id": "x"})).await.json();
        let plain = bed.send("POST", &path, &[OPERATOR], "").await.json();
        let wrong = bed.post(&path, &json!({"shiftDays": 1, "startDate": 1})).await;

        let data = &copy["data"];
        assert_eq!(data["startDate"], 1_774_684_800_000_i64 + 7 * 86_400_000 - 3_600_000);
        assert_eq!(
            (&data["status"], &data["title"], &data["budget"]),
            (&json!("draft"), &json!("Again"), &json!(0.1))
        );
        assert_eq!(copy["meta"], json!({"created": true, "ignoredFields": ["_id"]}));
        assert_eq!(
            (&plain["data"]["startDate"], &plain["data"]["title"]),
            (&event["startDate"], &json!("Spring"))
        );
        assert_eq!(refused_fields(&wrong), ["shiftDays".to_owned()].into());
        assert_eq!(signals(bed).await.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_on_an_event_is_copied_when_that_is_asked_for_and_allowed() {
    on_both(async |bed: &Bed| {
        let event = create(bed, json!({"title": "T", "startDate": 1000})).await;
        let path = format!("{PATH}/{}", id(&event));
        let post = async |folder: &str, body: Value| {
            let reply = bed.post(&format!("{path}/{folder}"), &body).await;
            assert_eq!(reply.status, 201, "{}", reply.text());
            id(&reply.json()["data"])
        };
        let first = post("tasks", json!({"title": "1", "status": "completed", "dueDate": 900})).await;
        post("tasks", json!({"title": "2", "blockedBy": [first]})).await;
        let paid =
            json!({"category": "c", "name": "n", "estimatedAmount": 5, "actualAmount": 6, "status": "paid"});
        post("budget", paid).await;
        let weak = bed.key(&["events:*", "budget:*"]).await;
        let body = json!({"startDate": 5000, "copy": ["tasks", "budget"]});

        let refused =
            bed.send("POST", &format!("{path}/clone"), &[("x-api-key", &weak), JSON], body.to_string()).await;
        let copy = bed.post(&format!("{path}/clone"), &body).await.json()["data"].clone();
        let plain = bed.post(&format!("{path}/clone"), &json!({})).await.json()["data"].clone();
        let wrong = bed.post(&format!("{path}/clone"), &json!({"copy": ["guests"]})).await;

        let tasks = bed.data(&format!("{PATH}/{}/tasks", id(&copy))).await;
        let task = |title: &str| {
            tasks.as_array().and_then(|all| all.iter().find(|one| one["title"] == title)).expect(title)
        };
        assert_eq!((&task("1")["status"], &task("1")["dueDate"]), (&json!("todo"), &json!(4900)));
        assert_eq!(task("2")["blockedBy"], json!([task("1")["id"]]));
        let item = bed.data(&format!("{PATH}/{}/budget", id(&copy))).await[0].clone();
        assert_eq!((&item["status"], item.get("actualAmount")), (&json!("planned"), None));
        assert_eq!(bed.data(&format!("{PATH}/{}/tasks", id(&plain))).await, json!([]));
        assert_eq!((refused.status, code(&refused).as_str()), (403, "FORBIDDEN"));
        assert_eq!(refused_fields(&wrong), ["copy".to_owned()].into());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_can_be_subscribed_to_as_calendars() {
    on_both(async |bed: &Bed| {
        let body =
            json!({"title": "Berlin", "startDate": 1_774_684_800_000_i64, "timezone": "Europe/Berlin"});
        let event = create(bed, body).await;
        create(bed, json!({"title": "Elsewhere", "startDate": 5, "status": "active"})).await;

        let one = bed.get(&format!("{PATH}/{}.ics", id(&event))).await;
        let feed = bed.get(&format!("{PATH}.ics")).await;
        let active = bed.get(&format!("{PATH}.ics?status=active")).await;

        assert_eq!((one.status, one.header("content-type")), (200, Some("text/calendar; charset=utf-8")));
        let uid = format!("UID:{}@openevent\r\n", id(&event));
        assert!(one.text().contains(&uid) && feed.text().contains(&uid) && !active.text().contains(&uid));
        assert!(one.text().contains("DTSTART;TZID=Europe/Berlin:20260328T090000\r\n"), "{}", one.text());
        assert_eq!(feed.text().matches("BEGIN:VEVENT").count(), 2);
        let unchanged = [OPERATOR, ("if-none-match", feed.header("etag").expect("a tag"))];
        assert_eq!(bed.send("GET", &format!("{PATH}.ics"), &unchanged, "").await.status, 304);
    })
    .await;
}
