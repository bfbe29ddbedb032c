//! `import`, `export` and `audit list`, against a receiver that plays a server, and the command line's own acts.
//!
//! Invariant: what is checked is the request that was sent and the words that were printed.
//! Not here: whether a real server answers so (`crates/server`).

use crate::support::Place;
use openevent_domain::tenant::{DEFAULT_PROJECT, Environment, Tenant};
use openevent_store::audit::{Filter, Order, Place as From};
use openevent_store::{Location, Options, Owner, Store};
use openevent_testkit::{Answer, Receiver};
use serde_json::{Value, json};

async fn playing(answer: Answer) -> Receiver {
    let receiver = Receiver::start().await;
    receiver.answer_with(move |_, _| answer.clone());
    receiver
}

fn imported(refused: &Value, count: u64) -> Value {
    json!({"success": true, "data": {"dryRun": false, "rows": 2, "created": 1, "updated": 0, "unchanged": 0,
        "refused": count, "complete": true, "errors": refused, "ignoredColumns": ["colour"]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_sent_as_it_is_and_its_bad_rows_are_printed() {
    let refused = json!([{"line": 3, "issues": [{"field": "title", "issue": "field is required"}]}]);
    let receiver = playing(Answer::json(&imported(&refused, 1))).await;
    let place = Place::new();
    place.write("tasks.csv", "title\nA\n,\n");
    let url = receiver.url("");

    let ended = place.run(&["import", "tasks", "tasks.csv", "--event", "evt_1", "--dry-run", "--url", &url]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.stdout,
        "2 rows: created 1, updated 0, unchanged 0, refused 1\nline 3  title  field is required\n\
         warning: no such column: colour\n"
    );
    let sent = &receiver.requests()[0];
    assert_eq!(sent.target, "/api/v1/events/evt_1/tasks/import?dryRun=true");
    assert_eq!((sent.header("content-type"), sent.body.as_ref()), (Some("text/csv"), &b"title\nA\n,\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_printed_as_it_came() {
    let receiver = playing(Answer::status(200).body("id,title\r\nevt_1,A\r\n")).await;
    let url = receiver.url("");

    let ended = Place::new().run(&["export", "events", "--filter", "status=active", "--url", &url]);

    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "id,title\r\nevt_1,A\r\n"));
    assert_eq!(receiver.requests()[0].target, "/api/v1/events.csv?status=active");
    let lost = Place::new().run(&["export", "tasks", "--url", &url]);
    assert_eq!(lost.code, Some(2), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_a_table() {
    let row = json!({"id": "aud_1", "action": "event.update", "createdAt": 0, "after": {"title": "T"},
        "actor": {"kind": "key", "id": "key_1", "name": "web"}, "target": {"kind": "event", "id": "evt_1"}});
    let receiver = playing(Answer::json(&json!({"success": true, "data": [row]}))).await;
    let url = receiver.url("");

    let ended = Place::new().run(&["audit", "list", "--action", "event.*", "--url", &url]);

    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.stdout.lines().nth(1).unwrap_or_default();
    let cells: Vec<_> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells, ["1970-01-01T00:00:00.000Z", "key web", "event.update", "evt_1", "title"]);
    assert_eq!(receiver.requests()[0].target, "/api/v1/audit?action=event.*&limit=20");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_at_the_command_line_is_told_without_what_is_secret() {
    let place = Place::new();
    let key = place.run(&["keys", "create", "--name", "ci", "--scopes", "*", "--json"]).json();
    let id = key["id"].as_str().expect("an id");
    place.run(&["keys", "revoke", id]);
    place.run(&["secrets", "set", "stripe", "--value", "sk_live_hush"]);
    place.run(&["secrets", "delete", "stripe"]);
    place.run(&["secrets", "delete", "stripe"]);

    let options = Options { location: Location::File(place.path("data/openevent.db")), group_max: None };
    let store = Store::open(options, 0, &Owner::default()).await.expect("the store opens");
    let project = store.project(DEFAULT_PROJECT).await.expect("an answer").expect("the project is there");
    let tenant = Tenant::of(&project.id, Environment::Live);
    let all = store.audits(&tenant, &Filter::default(), Order::OldestFirst, &From::Offset(0), 100).await;
    let rows = all.expect("the log is read");

    let told: Vec<_> = rows.iter().map(|row| (row.actor_kind.as_str(), row.action.as_str())).collect();
    let acts = ["key.create", "key.revoke", "secret.put", "secret.delete"];
    assert_eq!(told, acts.map(|act| ("cli", act)), "{rows:?}");
    assert_eq!((rows[0].target.as_str(), rows[2].target.as_str()), (id, "stripe"));
    let text = format!("{rows:?}");
    assert!(!text.contains("hush") && !text.contains(key["key"].as_str().expect("a key")), "{text}");
}
