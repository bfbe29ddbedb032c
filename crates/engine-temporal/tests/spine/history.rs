//! What was driven once is driven the same again: histories are replayed, the fresh one and those kept from earlier
//! versions.
//!
//! Invariant: a kept history is never changed. A change of the interpreter or of the workflows that drives one of them
//! another way is refused here; it needs a new number of `flow::SEMANTICS`, or a patch of the workflow.

use crate::bed::{code, on_both};
use crate::driver;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_engine_temporal::replay;
use openevent_testkit::{Answer, Receiver};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A workflow that does a bit of everything.
const EVERYTHING: &str = "do:\n\
- note: { set: { n: 1 } }\n\
- both:\n    fork:\n      branches:\n      - left: { wait: { milliseconds: 30 } }\n      - right:\n          call: http\n          with: { method: post, endpoint: 'ADDRESS', body: { n: 1 } }\n\
- tell: { emit: { event: { with: { source: 'https://shop.example', type: noted, data: { n: 1 } } } } }\n\
- child: { run: { workflow: { namespace: shop, name: child, version: '1.0.0' } } }\n\
- attempt:\n    try:\n    - refused: { call: http, with: { method: get, endpoint: 'ADDRESS/refused' } }\n    catch:\n      retry: { delay: { milliseconds: 10 }, limit: { attempt: { count: 2 } } }\n      do:\n      - given-up: { set: { refused: true } }\n\
- paid: { listen: { to: { one: { with: { type: paid } } } } }\n";

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_is_replayed_as_it_went() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|request, _| match request.path() {
            "/refused" => Answer::status(503),
            _ => Answer::json(&json!({"ok": true})),
        });
        bed.load("child", "", "do:\n- one: { set: { child: true } }\n").await;
        bed.load("all", "", &EVERYTHING.replace("ADDRESS", receiver.url("").trim_end_matches('/'))).await;
        let started = bed.post("/api/v1/workflows/shop/all/runs", &json!({})).await;
        assert_eq!(started.status, 201, "{}", code(&started));
        let run = started.json()["data"]["id"].clone();
        let path = format!("/api/v1/runs/{}", run.as_str().unwrap());
        bed.until(&path, |run| {
            run["status"] == "waiting"
                && run["tasks"]
                    .as_array()
                    .is_some_and(|tasks| tasks.iter().any(|task| task["name"] == "paid"))
        })
        .await;
        bed.signal("paid", json!({"ok": true})).await;
        let ended = bed.ended(&run).await;
        assert_eq!(ended["status"], "completed", "{ended}");

        let cluster = driver::cluster();
        let history = replay::record(&cluster, run.as_str().unwrap()).await.expect("a history");
        keep("run", &history);
        replay::replay(&history).await.expect("it goes the same way");
        let another =
            String::from_utf8(history).expect("JSON").replace("\"name\":\"write\"", "\"name\":\"wrote\"");
        assert!(replay::replay(another.as_bytes()).await.is_err(), "another way is noticed");
        let tenant = Tenant::of(&bed.app.keyring.operator().project_id, Environment::Live);
        let mut dispatched = 0;
        for shard in 0..4 {
            // Only some have anything to do.
            if let Ok(history) = replay::record(&cluster, &cluster.dispatcher(&tenant, shard)).await {
                keep("dispatcher", &history);
                replay::replay(&history).await.expect("it goes the same way");
                dispatched += 1;
            }
        }
        assert!(dispatched > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_histories_are_replayed_as_they_went() {
    let files = std::fs::read_dir(kept()).expect("the folder of histories");
    let mut replayed = 0;
    for file in files.map(|file| file.expect("a file").path()) {
        let history = std::fs::read(&file).expect("a history");
        let done = replay::replay(&history).await;
        assert!(done.is_ok(), "{}: {}", file.display(), done.unwrap_err());
        replayed += 1;
    }
    assert!(replayed > 0, "there are histories");
}

/// Writes the history down where a developer asks for it: the beginning of one that is kept.
#[expect(clippy::disallowed_methods, reason = "asked for by whoever runs the test")]
fn keep(of: &str, history: &[u8]) {
    if let Ok(name) = std::env::var("OPENEVENT_KEEP_HISTORY") {
        std::fs::write(kept().join(format!("{name}-{of}.json")), history).expect("a history is kept");
    }
}
