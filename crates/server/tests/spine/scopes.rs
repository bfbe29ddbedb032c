//! Every documented operation asks for its scope, or for any valid key, before it looks at path or body.
//!
//! Invariant: the list of operations is the server's own document, so a new one is tested too.
//! Not here: what operations do.

use crate::bed::{code, on_both};
use openevent_domain::scope::KNOWN;
use serde_json::Value;

/// Method, path with made-up parameters, and scopes of every operation that asks for one.
fn operations(document: &Value) -> Vec<(String, String, Vec<String>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(scopes) = operation["security"][0]["apiKey"].as_array() else { continue };
            let scopes = scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let path = path.replace('{', "made-").replace('}', "-up");
            found.push((method.to_uppercase(), path, scopes));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_the_scope_is_told_which_one_is_missing() {
    on_both(async |bed| {
        let document = bed.get("/openapi.json").await.json();
        let operations = operations(&document);
        assert!(operations.len() >= 20, "{}", operations.len());
        for (method, path, scopes) in &operations {
            assert!(scopes.len() <= 1, "{method} {path} asks for {scopes:?}");
            let scope = scopes.first().map_or("runs:read", String::as_str);
            let others: Vec<&str> = KNOWN.into_iter().filter(|known| *known != scope).collect();
            let (weak, strong) = (bed.key(&others).await, bed.key(&[scope]).await);

            if !scopes.is_empty() {
                let refused = bed.send(method, path, &[("x-api-key", &weak)], "\0 nonsense").await;
                assert_eq!((refused.status, code(&refused).as_str()), (403, "FORBIDDEN"), "{method} {path}");
                let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
                assert!(message.contains(scope), "{method} {path}: {message}");
            }

            if path == "/api/v1/stream" {
                continue;
            }
            let heard = bed.send(method, path, &[("x-api-key", &strong)], "").await;
            assert!(!matches!(heard.status, 401 | 403 | 500..), "{method} {path}: {}", heard.text());
            let stranger = bed.send(method, path, &[], "").await;
            assert_eq!((stranger.status, code(&stranger).as_str()), (401, "UNAUTHORIZED"), "{method} {path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wildcards_grant_what_they_cover() {
    on_both(async |bed| {
        let signals = bed.key(&["signals:*"]).await;
        let all = bed.key(&["*"]).await;
        for (key, path, status) in [
            (&signals, "/api/v1/signals", 200),
            (&signals, "/api/v1/runs", 403),
            (&all, "/api/v1/runs", 200),
            (&all, "/api/v1/workflows", 200),
        ] {
            assert_eq!(bed.send("GET", path, &[("x-api-key", key)], "").await.status, status, "{path}");
        }
    })
    .await;
}
