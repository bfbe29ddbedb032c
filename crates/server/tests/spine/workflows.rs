//! Definitions in, definitions out.
//!
//! Invariant: a definition that is refused changes nothing.
//! Not here: the workflows folder; runs.

use crate::bed::{JSON, OPERATOR, YAML, code, on_both, workflow};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/workflows/shop/one";
const UNSUPPORTED: &str = "do:\n- ask:\n    call: grpc\n    with: { proto: { endpoint: 'https://example.com/a.proto' }, service: { name: s, host: localhost }, method: m }\n";

fn set(n: i32) -> String {
    format!("do:\n- note:\n    set: {{ n: {n} }}\n")
}

fn of_version(version: &str, n: i32) -> String {
    workflow("one", "", &set(n)).replace("version: '1.0.0'", &format!("version: '{version}'"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_is_put_read_back_replaced_and_removed() {
    on_both(async |bed| {
        let source = workflow("one", "{ type: a.b }", &set(1));
        let made = bed.put("one", &source).await;
        let again = bed.put("one", &workflow("one", "{ type: a.b }", &set(2))).await;

        assert_eq!((made.status, made.header("location")), (201, Some(PATH)), "{}", made.text());
        assert_eq!(again.status, 200);
        assert_ne!(made.header("etag"), again.header("etag"));
        let data = made.json()["data"].clone();
        assert_eq!((&data["id"], &data["_id"]), (&json!("shop/one"), &json!("shop/one")));
        assert_eq!((&data["source"], &data["listensTo"]), (&json!(source), &json!(["a.b"])));
        assert_eq!(
            (&data["versions"], &data["definition"]["do"][0]["note"]["set"]["n"]),
            (&json!(["1.0.0"]), &json!(1))
        );
        assert_eq!(bed.data(PATH).await["definition"]["do"][0]["note"]["set"]["n"], 2);

        let gone = bed.send("DELETE", PATH, &[OPERATOR], "").await;
        assert_eq!((gone.status, gone.json()), (200, json!({"success": true, "data": {"deleted": true}})));
        for method in ["GET", "DELETE"] {
            let reply = bed.send(method, PATH, &[OPERATOR], "").await;
            assert_eq!((reply.status, code(&reply).as_str()), (404, "NOT_FOUND"));
        }
        assert_eq!(bed.signal("a.b", json!({})).await["runs"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_taken_as_well_as_yaml() {
    on_both(async |bed| {
        let definition = json!({"document": {"dsl": "1.0.0", "namespace": "shop", "name": "one", "version": "1.0.0"}, "do": [{"note": {"set": {"n": 1}}}]});
        let put = bed.send("PUT", PATH, &[OPERATOR, JSON], definition.to_string()).await;
        assert_eq!(put.status, 201, "{}", put.text());
        assert_eq!(bed.data(PATH).await["definition"], definition);
        let run = bed.post(&format!("{PATH}/runs?wait=30s"), &json!({})).await;
        assert_eq!(run.json()["data"]["output"], json!({"n": 1}));
        let kinds = ["text/plain", "application/xml"];
        for kind in kinds {
            let put = bed.send("PUT", PATH, &[OPERATOR, ("content-type", kind)], definition.to_string()).await;
            assert_eq!((put.status, code(&put).as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_live_side_by_side_and_the_newest_is_current() {
    on_both(async |bed| {
        for (version, n) in [("1.0.0", 1), ("1.10.0", 3), ("1.9.0", 2)] {
            assert_eq!(bed.put("one", &of_version(version, n)).await.status, 201, "{version}");
        }
        assert_eq!(bed.data(PATH).await["versions"], json!(["1.0.0", "1.9.0", "1.10.0"]));
        assert_eq!(bed.data(PATH).await["version"], "1.10.0");
        assert_eq!(bed.data(&format!("{PATH}?version=1.0.0")).await["version"], "1.0.0");
        assert_eq!(bed.get(&format!("{PATH}?version=7.0.0")).await.status, 404);
        let run = async |query: &str| {
            let reply = bed.post(&format!("{PATH}/runs?wait=30s{query}"), &json!({})).await.json();
            (reply["data"]["workflow"]["version"].clone(), reply["data"]["output"]["n"].clone())
        };
        assert_eq!(run("").await, (json!("1.10.0"), json!(3)));
        assert_eq!(run("&version=1.9.0").await, (json!("1.9.0"), json!(2)));

        assert_eq!(bed.send("DELETE", &format!("{PATH}?version=1.10.0"), &[OPERATOR], "").await.status, 200);
        assert_eq!(bed.data(PATH).await["version"], "1.9.0");
        assert_eq!(bed.get("/api/v1/workflows").await.json()["meta"]["total"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_guard_against_lost_changes() {
    on_both(async |bed| {
        let first = bed.put("one", &workflow("one", "", &set(1))).await.header("etag").unwrap().to_owned();
        let put = async |tag: &str, n: i32| {
            let headers = [OPERATOR, YAML, ("if-match", tag)];
            bed.send("PUT", PATH, &headers, workflow("one", "", &set(n))).await
        };
        let read = bed.send("GET", PATH, &[OPERATOR, ("if-none-match", &first)], "").await;
        assert_eq!((read.status, read.body.len()), (304, 0));
        let second = put(&first, 2).await;
        assert_eq!(second.status, 200);
        let stale = put(&first, 3).await;
        assert_eq!((stale.status, code(&stale).as_str()), (412, "PRECONDITION_FAILED"));
        let gone = bed.send("DELETE", PATH, &[OPERATOR, ("if-match", &first)], "").await;
        assert_eq!(gone.status, 412);
        assert_eq!(bed.data(PATH).await["definition"]["do"][0]["note"]["set"]["n"], 2);
        let tag = second.header("etag").unwrap();
        assert_eq!(bed.send("DELETE", PATH, &[OPERATOR, ("if-match", tag)], "").await.status, 200);
        assert_eq!(put("*", 4).await.status, 412, "there is nothing to match");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_definition_is_refused_with_line_path_and_reason_and_changes_nothing() {
    on_both(async |bed| {
        bed.load("one", "", &set(1)).await;
        let bad = workflow("one", "", "do:\n- note:\n    sett: { n: 1 }\n");
        let jq = workflow("one", "", "do:\n- note:\n    set: { n: '${ .a | }' }\n");
        for source in [bad.as_str(), jq.as_str(), "a: [", "", "7", "{}", "do: []", "\u{0}", "a: &a [*a, *a]"]
        {
            for (method, path) in [
                ("PUT", PATH.to_owned()),
                ("POST", format!("{PATH}/validate")),
                ("POST", "/api/v1/workflows/validate".to_owned()),
            ] {
                let reply = bed.send(method, &path, &[OPERATOR, YAML], source.to_owned()).await;
                assert_eq!(reply.status, 400, "{method} {source:?}: {}", reply.text());
                code(&reply);
            }
        }
        let reply = bed.put("one", &bad).await;
        assert_eq!(code(&reply), "VALIDATION_ERROR");
        let details = reply.json()["error"]["details"].clone();
        let told = &details[0];
        assert!(told["line"].as_i64().is_some_and(|line| line >= 3), "{details}");
        assert!(told["path"].as_str().is_some_and(|path| path.starts_with("/do/0/note")), "{details}");
        assert!(told["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{details}");
        assert_eq!((&told["field"], &told["issue"]), (&told["path"], &told["reason"]));
        assert_eq!(bed.data(PATH).await["definition"]["do"][0]["note"]["set"]["n"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_and_the_document_must_say_the_same() {
    on_both(async |bed| {
        for (path, field) in [
            ("/api/v1/workflows/shop/two", "document.name"),
            ("/api/v1/workflows/other/one", "document.namespace"),
        ] {
            let reply = bed.send("PUT", path, &[OPERATOR, YAML], workflow("one", "", &set(1))).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"));
            assert_eq!(reply.json()["error"]["details"][0]["field"], field);
        }
        assert_eq!(bed.data("/api/v1/workflows").await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_definition_is_called_valid_and_nothing_is_put() {
    on_both(async |bed| {
        for path in ["/api/v1/workflows/validate", "/api/v1/workflows/shop/one/validate"] {
            let reply = bed.send("POST", path, &[OPERATOR, YAML], workflow("one", "", &set(1))).await;
            assert_eq!((reply.status, &reply.json()["data"]["valid"]), (200, &Value::Bool(true)));
            assert_eq!(reply.json().get("meta"), None);
        }
        assert_eq!(bed.data("/api/v1/workflows").await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_offered_is_warned_of_refused_and_taken_on_demand() {
    on_both(async |bed| {
        let source = workflow("one", "", UNSUPPORTED);
        let checked = bed.send("POST", &format!("{PATH}/validate"), &[OPERATOR, YAML], source.clone()).await;
        assert_eq!(checked.status, 200, "{}", checked.text());
        assert_eq!(checked.json()["meta"]["warnings"].as_array().map(Vec::len), Some(1));
        let refused = bed.put("one", &source).await;
        assert_eq!((refused.status, code(&refused).as_str()), (400, "VALIDATION_ERROR"));
        assert!(refused.json()["error"]["details"][0]["line"].is_i64());

        let put = bed.send("PUT", &format!("{PATH}?allowUnsupported=true"), &[OPERATOR, YAML], source).await;
        assert_eq!((put.status, put.json()["meta"]["warnings"].is_array()), (201, true), "{}", put.text());
        let run = bed.post(&format!("{PATH}/runs?wait=30s"), &json!({})).await.json();
        assert_eq!(run["data"]["status"], "faulted", "{run}");
        assert_eq!(bed.put("one", &workflow("one", "", &set(1))).await.status, 200);
    })
    .await;
}
