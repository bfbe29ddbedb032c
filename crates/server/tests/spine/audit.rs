//! The audit log: every write leaves a row that says who did what, and nothing else does.
//!
//! Invariant: the list of operations is the server's own document, so a new one has to be called here, or to be
//! argued for in [`UNTOLD`].
//! Not here: acts at the command line (the binary's suite), the log's table (the store's).

use crate::bed::{Bed, JSON, OPERATOR, YAML, code, on_both, workflow};
use crate::events::{create, id, patch};
use crate::people;
use openevent_domain::tenant::Environment;
use openevent_testkit::Receiver;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Operations that are no GET and leave no row, each with the reason.
const UNTOLD: &[(&str, &str)] = &[
    ("POST:/api/v1/hooks/{source}", "signals: a signal is its own record"),
    ("POST:/api/v1/events/batch", "signals: a signal is its own record"),
    ("POST:/api/v1/workflows/validate", "writes nothing"),
    ("POST:/api/v1/workflows/{namespace}/{name}/validate", "writes nothing"),
];

/// Sends a request that must succeed, under a request id that names its operation. Answers its data.
async fn call(bed: &Bed, operation: &str, path: &str, kind: (&str, &str), body: impl Into<String>) -> Value {
    let (method, _) = operation.split_once(':').expect("METHOD:path");
    let headers = [OPERATOR, kind, ("x-request-id", operation)];
    let reply = bed.send(method, path, &headers, body.into()).await;
    assert!(reply.status < 300, "{operation}: {} {}", reply.status, reply.text());
    reply.json()["data"].clone()
}

async fn json_call(bed: &Bed, operation: &str, path: &str, body: Value) -> Value {
    call(bed, operation, path, JSON, body.to_string()).await
}

/// The same, of an operation without parameters in its path.
async fn plain_call(bed: &Bed, operation: &str, body: Value) -> Value {
    let (_, path) = operation.split_once(':').expect("METHOD:path");
    json_call(bed, operation, path, body).await
}

/// All rows of the operator's project and of the instance, newest first.
async fn rows(bed: &Bed) -> Vec<Value> {
    let mut rows = Vec::new();
    for scope in ["project", "instance"] {
        let mut path = format!("/api/v1/audit?limit=100&scope={scope}");
        loop {
            let page = bed.get(&path).await.json();
            rows.extend(page["data"].as_array().expect("a list").iter().cloned());
            let Some(next) = page["meta"]["nextCursor"].as_str() else { break };
            path = format!("/api/v1/audit?limit=100&scope={scope}&cursor={next}");
        }
    }
    rows
}

async fn count(bed: &Bed) -> usize {
    rows(bed).await.len()
}

/// Calls everything about events and what hangs on them.
async fn plan(bed: &Bed) {
    let event = plain_call(bed, "POST:/api/v1/events", json!({"title": "T", "startDate": 5})).await;
    let at = format!("/api/v1/events/{}", id(&event));
    json_call(bed, "PATCH:/api/v1/events/{id}", &at, json!({"title": "U"})).await;
    json_call(bed, "POST:/api/v1/events/{id}/clone", &format!("{at}/clone"), json!({"startDate": 9})).await;
    let tasks = format!("{at}/tasks");
    let task = json_call(bed, "POST:/api/v1/events/{id}/tasks", &tasks, json!({"title": "T"})).await;
    let task = format!("{tasks}/{}", id(&task));
    json_call(bed, "PATCH:/api/v1/events/{id}/tasks/{task_id}", &task, json!({"title": "U"})).await;
    json_call(bed, "DELETE:/api/v1/events/{id}/tasks/{task_id}", &task, json!({})).await;
    let budget = format!("{at}/budget");
    let item = json!({"category": "food", "name": "Cake", "estimatedAmount": 5});
    let item = json_call(bed, "POST:/api/v1/events/{id}/budget", &budget, item).await;
    let item = format!("{budget}/{}", id(&item));
    json_call(bed, "PATCH:/api/v1/events/{id}/budget/{item_id}", &item, json!({"name": "Pie"})).await;
    json_call(bed, "DELETE:/api/v1/events/{id}/budget/{item_id}", &item, json!({})).await;
    json_call(bed, "DELETE:/api/v1/events/{id}", &at, json!({})).await;
}

/// Calls everything about the directory.
async fn direct(bed: &Bed) {
    for (folder, body) in [
        ("vendors", json!({"name": "N", "category": "catering"})),
        ("sponsors", json!({"name": "N", "industry": "tech"})),
    ] {
        let all = format!("/api/v1/{folder}");
        let entry = json_call(bed, &format!("POST:{all}"), &all, body).await;
        let at = format!("{all}/{}", id(&entry));
        json_call(bed, &format!("PATCH:{all}/{{id}}"), &at, json!({"name": "M"})).await;
        json_call(bed, &format!("POST:{all}/{{id}}/approve"), &format!("{at}/approve"), json!({})).await;
        json_call(bed, &format!("POST:{all}/{{id}}/reject"), &format!("{at}/reject"), json!({})).await;
    }
}

/// Calls everything about workflows, their runs, and what they need.
async fn automate(bed: &Bed) {
    const RUN: &str = "POST:/api/v1/workflows/{namespace}/{name}/runs";
    let at = "/api/v1/workflows/shop/one";
    let hold = workflow("one", "", "do:\n- hold:\n    wait: { hours: 1 }\n");
    call(bed, "PUT:/api/v1/workflows/{namespace}/{name}", at, YAML, hold).await;
    let run = json_call(bed, RUN, &format!("{at}/runs"), json!({})).await;
    let run = format!("/api/v1/runs/{}", id(&run));
    for verb in ["suspend", "resume", "cancel"] {
        json_call(bed, &format!("POST:/api/v1/runs/{{id}}/{verb}"), &format!("{run}/{verb}"), json!({}))
            .await;
    }
    bed.until(&run, |run| run.get("endedAt").is_some()).await;
    json_call(bed, "DELETE:/api/v1/workflows/{namespace}/{name}", at, json!({})).await;
    let fail =
        "do:\n- fail:\n    raise: { error: { type: 'https://a.example/b', status: 500, title: no } }\n";
    bed.load("two", "", fail).await;
    let run = bed.post("/api/v1/workflows/shop/two/runs?wait=30s", &json!({})).await.json()["data"].clone();
    let retry = format!("/api/v1/runs/{}/retry", id(&run));
    json_call(bed, "POST:/api/v1/runs/{id}/retry", &retry, json!({})).await;
    let name = "/api/v1/event-types/order.created";
    json_call(bed, "PUT:/api/v1/event-types/{name}", name, json!({"description": "d"})).await;
    json_call(bed, "DELETE:/api/v1/event-types/{name}", name, json!({})).await;
    let secret = "/api/v1/secrets/stripe";
    json_call(bed, "PUT:/api/v1/secrets/{name}", secret, json!({"value": "sk_hush"})).await;
    json_call(bed, "DELETE:/api/v1/secrets/{name}", secret, json!({})).await;
    let signal = bed.signal("a.b", json!({})).await;
    let replay = format!("/api/v1/signals/{}/replay", id(&signal));
    json_call(bed, "POST:/api/v1/signals/{event_id}/replay", &replay, json!({})).await;
}

/// Calls everything about who takes part in an event.
async fn invite(bed: &Bed) {
    let event =
        json!({"title": "T", "startDate": 5, "status": "active", "isPublic": true, "seekingVendors": true});
    let at = format!("/api/v1/events/{}", id(&create(bed, event).await));
    let mut vendor = String::new();
    for (side, body) in [
        ("sponsor", json!({"name": "N", "industry": "tech"})),
        ("vendor", json!({"name": "N", "category": "catering"})),
    ] {
        let entry = bed.post(&format!("/api/v1/{side}s"), &body).await.json()["data"].clone();
        bed.post(&format!("/api/v1/{side}s/{}/approve", id(&entry)), &json!({})).await;
        let (all, operation) = (format!("{at}/{side}s"), format!("/api/v1/events/{{id}}/{side}s"));
        let with = json!({format!("{side}Id"): id(&entry)});
        let relation = json_call(bed, &format!("POST:{operation}"), &all, with).await;
        let (one, operation) = (format!("{all}/{}", id(&relation)), format!("{operation}/{{relation_id}}"));
        json_call(bed, &format!("PATCH:{operation}"), &one, json!({"status": "confirmed"})).await;
        json_call(bed, &format!("DELETE:{operation}"), &one, json!({})).await;
        plain_call(bed, &format!("POST:/api/v1/public/applications/{side}"), body).await;
        vendor = id(&entry);
    }
    let wish = json!({"applicantType": "vendor", "applicantId": vendor, "contactName": "A", "contactEmail": "a@b.example"});
    let path = at.replace("/api/v1", "/api/v1/public") + "/applications";
    json_call(bed, "POST:/api/v1/public/events/{id}/applications", &path, wish).await;
    let application = bed.data(&format!("{at}/applications")).await[0].clone();
    let path = format!("{at}/applications/{}", id(&application));
    let operation = "PATCH:/api/v1/events/{id}/applications/{application_id}";
    json_call(bed, operation, &path, json!({"status": "accepted"})).await;
}

/// Sends every kind of table.
async fn bring(bed: &Bed) {
    let at = format!("/api/v1/events/{}", id(&create(bed, json!({"title": "T", "startDate": 5})).await));
    let csv = ("content-type", "text/csv");
    for (operation, table) in [
        ("POST:/api/v1/events/import", "title,startDate\nA,2026-01-01\n"),
        ("POST:/api/v1/vendors/import", "name,category\nA,food\n"),
        ("POST:/api/v1/sponsors/import", "name,industry\nA,tech\n"),
        ("POST:/api/v1/events/{id}/tasks/import", "title\nA\n"),
        ("POST:/api/v1/events/{id}/budget/import", "category,name,estimatedAmount\nfood,A,1\n"),
    ] {
        let path = operation.replace("POST:", "").replace("/api/v1/events/{id}", &at);
        call(bed, operation, &path, csv, table).await;
    }
}

/// Calls everything about keys.
async fn admit(bed: &Bed) {
    let key = plain_call(bed, "POST:/api/v1/api-keys", json!({"name": "N", "scopes": ["events:read"]})).await;
    let at = format!("/api/v1/api-keys/{}", id(&key));
    json_call(bed, "PATCH:/api/v1/api-keys/{id}", &at, json!({"name": "M"})).await;
    json_call(bed, "POST:/api/v1/api-keys/{id}/revoke", &format!("{at}/revoke"), json!({})).await;
    json_call(bed, "DELETE:/api/v1/api-keys/{id}", &at, json!({})).await;
    let text = Value::from(rows(bed).await).to_string();
    assert!(!text.contains(key["key"].as_str().expect("a key")), "{text}");
}

/// Calls everything about webhooks.
async fn subscribe(bed: &Bed) {
    let receiver = Receiver::start().await;
    let body = json!({"name": "hook", "url": receiver.url("/hook"), "events": ["nobody.*"]});
    let webhook = plain_call(bed, "POST:/api/v1/webhooks", body).await;
    let (at, operation) = (format!("/api/v1/webhooks/{}", id(&webhook)), "/api/v1/webhooks/{id}");
    json_call(bed, &format!("PATCH:{operation}"), &at, json!({"name": "other"})).await;
    json_call(bed, &format!("POST:{operation}/rotate"), &format!("{at}/rotate"), json!({})).await;
    json_call(bed, &format!("POST:{operation}/recover"), &format!("{at}/recover?since=0"), json!({})).await;
    let sent = json_call(bed, &format!("POST:{operation}/test"), &format!("{at}/test"), json!({})).await;
    let again = format!("{at}/deliveries/{}/redeliver", id(&sent));
    let redeliver = format!("POST:{operation}/deliveries/{{delivery_id}}/redeliver");
    json_call(bed, &redeliver, &again, json!({})).await;
    json_call(bed, &format!("PATCH:{operation}"), &at, json!({"status": "paused"})).await;
    bed.signal("nobody.here", json!({})).await;
    let held = bed.data(&format!("{at}/deliveries?status=held")).await[0].clone();
    let skip = format!("POST:{operation}/deliveries/{{delivery_id}}/skip");
    json_call(bed, &skip, &format!("{at}/deliveries/{}/skip", id(&held)), json!({})).await;
    json_call(bed, &format!("DELETE:{operation}"), &at, json!({})).await;
    let body = json!({"name": "stripe", "preset": "stripe", "secret": "whsec_hush"});
    let source = plain_call(bed, "POST:/api/v1/sources", body).await;
    let at = format!("/api/v1/sources/{}", id(&source));
    let body = json!({"status": "paused", "secret": "whsec_hush2"});
    json_call(bed, "PATCH:/api/v1/sources/{id}", &at, body).await;
    json_call(bed, "DELETE:/api/v1/sources/{id}", &at, json!({})).await;
    let text = Value::from(rows(bed).await).to_string();
    assert!(!text.contains("whsec_"), "{text}");
}

/// Calls everything about people and projects.
async fn welcome(bed: &Bed) {
    let ada = people::admin(bed).await;
    plain_call(bed, "POST:/api/v1/projects", json!({"name": "acme"})).await;
    let body = json!({"email": "bob@example.org", "password": people::PASSWORD});
    let user = plain_call(bed, "POST:/api/v1/users", body).await;
    let at = format!("/api/v1/users/{}", id(&user));
    json_call(bed, "PATCH:/api/v1/users/{id}", &at, json!({"disabled": false, "isAdmin": true})).await;
    let all = "/api/v1/projects/default/members";
    let body = json!({"email": "bob@example.org", "role": "viewer"});
    json_call(bed, "POST:/api/v1/projects/{name}/members", all, body).await;
    let (member, operation) = (format!("{all}/{}", id(&user)), "/api/v1/projects/{name}/members/{user_id}");
    json_call(bed, &format!("PATCH:{operation}"), &member, json!({"role": "manager"})).await;
    json_call(bed, &format!("DELETE:{operation}"), &member, json!({})).await;
    json_call(bed, "DELETE:/api/v1/users/{id}", &at, json!({})).await;
    let session = ada.get("/api/v1/sessions").await.json()["data"][0].clone();
    let (cookie, csrf) = (("cookie", ada.cookie.as_str()), ("x-csrf-token", ada.csrf.as_str()));
    let headers = [cookie, csrf, people::HERE, ("x-request-id", "DELETE:/api/v1/sessions/{id}")];
    let path = format!("/api/v1/sessions/{}", id(&session));
    assert_eq!(bed.send("DELETE", &path, &headers, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_that_writes_leaves_a_row() {
    on_both(async |bed| {
        plan(bed).await;
        direct(bed).await;
        invite(bed).await;
        bring(bed).await;
        automate(bed).await;
        admit(bed).await;
        subscribe(bed).await;
        welcome(bed).await;
        let rows = rows(bed).await;
        let told: BTreeSet<&str> = rows.iter().filter_map(|row| row["requestId"].as_str()).collect();

        let document = bed.get("/openapi.json").await.json();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in ["post", "put", "patch", "delete"] {
                let operation = format!("{}:{path}", method.to_uppercase());
                if item.get(method).is_none() || UNTOLD.iter().any(|(untold, _)| *untold == operation) {
                    continue;
                }
                assert!(told.contains(operation.as_str()), "{operation} left no row, or is not called here");
            }
        }
        let text = Value::from(rows).to_string();
        for secret in ["hush", "s3cret", people::PASSWORD, "argon2"] {
            assert!(!text.contains(secret), "{text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_says_who_did_what_to_which_thing_and_what_changed() {
    on_both(async |bed| {
        let key = bed.key(&["events:*"]).await;
        let event = create(bed, json!({"title": "Old", "startDate": 5, "venueName": "Hall"})).await;
        let path = format!("/api/v1/events/{}", id(&event));
        let headers = [("x-api-key", key.as_str()), JSON, ("x-request-id", "req-7")];
        let body = json!({"title": "New", "venueName": null}).to_string();
        assert_eq!(bed.send("PATCH", &path, &headers, body).await.status, 200);

        let list = bed.data("/api/v1/audit").await;
        let row = &list[0];
        let one = bed.data(&format!("/api/v1/audit/{}", id(row))).await;

        assert_eq!(&one, row);
        assert_eq!(
            (&row["action"], &row["target"]),
            (&json!("event.update"), &json!({"kind": "event", "id": id(&event)}))
        );
        assert_eq!((&row["actor"]["kind"], &row["actor"]["name"]), (&json!("key"), &json!("a key")));
        assert!(row["actor"]["id"].as_str().is_some_and(|id| id.starts_with("key_")));
        assert_eq!(row["before"], json!({"title": "Old", "venueName": "Hall"}));
        assert_eq!(row["after"], json!({"title": "New"}));
        assert_eq!((&row["requestId"], &row["address"]), (&json!("req-7"), &json!("127.0.0.1")));
        assert_eq!((&list[1]["action"], list[1].get("before")), (&json!("event.create"), None));
        assert_eq!(
            (&list[1]["after"]["title"], &list[1]["actor"]["kind"]),
            (&json!("Old"), &json!("operator"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_changes_nothing_or_is_done_again_leaves_no_row() {
    on_both(async |bed| {
        let event = create(bed, json!({"title": "T", "startDate": 5})).await;
        let vendor = bed.post("/api/v1/vendors", &json!({"name": "N", "category": "c"})).await.json();
        let approve = format!("/api/v1/vendors/{}/approve", id(&vendor["data"]));
        bed.post(&approve, &json!({})).await;
        let once = ("idempotency-key", "once");
        let body = json!({"title": "Twice", "startDate": 5}).to_string();
        let first = bed.send("POST", "/api/v1/events", &[OPERATOR, JSON, once], body.clone()).await;
        let before = count(bed).await;

        let again = bed.send("POST", "/api/v1/events", &[OPERATOR, JSON, once], body).await;
        let same = patch(bed, &id(&event), json!({"title": "T"}), &[]).await;
        let illegal = patch(bed, &id(&event), json!({"status": "completed"}), &[]).await;
        let wrong = patch(bed, &id(&event), json!({"title": ""}), &[]).await;
        let stale = patch(bed, &id(&event), json!({"title": "U"}), &[("if-match", "\"9\"")]).await;
        let approved = bed.post(&approve, &json!({})).await;
        bed.signal("a.b", json!({})).await;

        assert_eq!(
            (first.status, again.status, again.header("idempotency-replayed")),
            (201, 201, Some("true"))
        );
        let statuses = [same, illegal, wrong, stale, approved].map(|reply| reply.status);
        assert_eq!(statuses, [200, 400, 400, 412, 200]);
        assert_eq!(count(bed).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_searched_by_actor_action_target_and_time() {
    on_both(async |bed| {
        let first = create(bed, json!({"title": "A", "startDate": 5})).await;
        bed.forward(60_000);
        let second = create(bed, json!({"title": "B", "startDate": 5})).await;
        patch(bed, &id(&second), json!({"title": "C"}), &[]).await;
        bed.send("PUT", "/api/v1/event-types/a.b", &[OPERATOR, JSON], "{}").await;
        let middle = bed.app.clock.now() - 30_000;
        let actions = async |query: &str| {
            let list = bed.data(&format!("/api/v1/audit?{query}")).await;
            let all = list
                .as_array()
                .expect("a list")
                .iter()
                .map(|row| row["action"].as_str().unwrap_or("?").to_owned());
            all.collect::<Vec<_>>()
        };

        assert_eq!(
            actions("actor=operator&action=event.*").await,
            ["event.update", "event.create", "event.create"]
        );
        assert_eq!(actions("action=event.update").await, ["event.update"]);
        assert_eq!(actions("actor=key_none").await, Vec::<String>::new());
        assert_eq!(actions(&format!("target={}", id(&first))).await, ["event.create"]);
        assert_eq!(actions(&format!("to={middle}")).await, ["event.create"]);
        let late = ["event.create", "event.update", "event_type.put"];
        assert_eq!(actions(&format!("from={middle}&sort=createdAt")).await, late);
        let page = bed.get("/api/v1/audit?limit=3").await.json();
        assert_eq!((&page["meta"]["total"], &page["meta"]["hasMore"]), (&json!(4), &json!(true)));
        let next = page["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
        assert_eq!(actions(&format!("cursor={next}")).await, ["event.create"]);
        let wrong = bed.get("/api/v1/audit?from=x").await;
        assert_eq!((wrong.status, code(&wrong).as_str()), (400, "VALIDATION_ERROR"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_project_is_read_by_its_admins_alone() {
    on_both(async |bed| {
        create(bed, json!({"title": "Mine", "startDate": 5})).await;
        let mine = bed.data("/api/v1/audit").await[0].clone();
        let other = bed.project("other").await;
        let theirs = bed.key_of(&other, Environment::Live, &["*"]).await;
        let weak = bed.key(&["events:*", "signals:*"]).await;
        let path = format!("/api/v1/audit/{}", id(&mine));

        let list = bed.send("GET", "/api/v1/audit", &[("x-api-key", &theirs)], "").await.json();
        let one = bed.send("GET", &path, &[("x-api-key", &theirs)], "").await;
        let refused = bed.send("GET", "/api/v1/audit", &[("x-api-key", &weak)], "").await;

        assert_eq!((&list["data"], &list["meta"]["total"]), (&json!([]), &json!(0)));
        assert_eq!((one.status, code(&one).as_str()), (404, "NOT_FOUND"));
        assert_eq!((refused.status, code(&refused).as_str()), (403, "FORBIDDEN"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_workflow_writes_is_told_under_its_run() {
    on_both(async |bed| {
        let with = "with: { document: { endpoint: 'openevent:api' }, operationId: createEvent, \
                    parameters: { title: By a run, startDate: 5 } }";
        bed.load("one", "", &format!("do:\n- plan:\n    call: openapi\n    {with}\n")).await;

        let run =
            bed.post("/api/v1/workflows/shop/one/runs?wait=30s", &json!({})).await.json()["data"].clone();

        assert_eq!(run["status"], "completed", "{run}");
        let row = bed.data("/api/v1/audit?action=event.create").await[0].clone();
        assert_eq!(row["actor"], json!({"kind": "workflow", "id": run["id"]}));
        assert_eq!((&row["after"]["title"], row.get("address")), (&json!("By a run"), None));
    })
    .await;
}
