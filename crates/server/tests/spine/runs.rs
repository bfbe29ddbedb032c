//! Runs as people see them: started by hand, shown with their tasks, refused.
//!
//! Invariant: what is shown of a task is what happened.
//! Not here: runs that wait (`waiting`); the language.

use crate::bed::{JSON, OPERATOR, code, on_both, workflow};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

const START: &str = "/api/v1/workflows/shop/one/runs";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_started_by_hand_answers_with_its_output_when_waited_for() {
    on_both(async |bed| {
        bed.load("one", "", "do:\n- double:\n    set: { n: '${ $workflow.input.n * 2 }' }\n").await;
        let waited = bed.post(&format!("{START}?wait=30s"), &json!({"input": {"n": 21}})).await;
        let begun = bed.post(START, &json!({"input": {"n": 2}})).await;

        let run = waited.json()["data"].clone();
        assert_eq!((waited.status, begun.status), (200, 201), "{}", waited.text());
        assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!({"n": 42})));
        assert_eq!(run["workflow"], json!({"namespace": "shop", "name": "one", "version": "1.0.0"}));
        assert_eq!((run.get("eventId"), run.get("error")), (None, None));
        assert_eq!(run["id"], run["_id"]);
        let begun_run = begun.json()["data"].clone();
        assert_eq!(
            begun.header("location"),
            Some(format!("/api/v1/runs/{}", begun_run["id"].as_str().unwrap()).as_str())
        );
        assert_eq!(bed.ended(&begun_run["id"]).await["output"], json!({"n": 4}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_longer_than_the_wait_is_answered_as_it_stands() {
    on_both(async |bed| {
        bed.load("one", "", "do:\n- rest:\n    wait: { hours: 1 }\n").await;
        let reply = bed.post(&format!("{START}?wait=50ms"), &json!({})).await;
        let run = reply.json()["data"].clone();
        assert_eq!(reply.status, 202, "{run}");
        assert!(run.get("endedAt").is_none() && run.get("output").is_none());
        for bad in ["soon", "-1s", "1"] {
            let reply = bed.post(&format!("{START}?wait={bad}"), &json!({})).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{bad}");
        }
        assert_eq!(bed.data("/api/v1/runs").await.as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_shows_its_tasks_in_starting_order_with_attempts() {
    on_both(async |bed| {
        let shop = Receiver::start().await;
        shop.answer_with(|_, n| if n < 2 { Answer::status(503) } else { Answer::json(&json!({"ok": true})) });
        let rest = format!(
            "do:\n- first:\n    set: {{ n: 1 }}\n- careful:\n    try:\n    - ask:\n        call: http\n        with: {{ method: get, endpoint: '{}' }}\n    catch:\n      retry: {{ delay: {{ milliseconds: 1 }}, limit: {{ attempt: {{ count: 3 }} }} }}\n- last:\n    set: {{ got: '${{ .ok }}' }}\n",
            shop.url("/flaky"),
        );
        bed.load("one", "", &rest).await;
        let run = bed.post(&format!("{START}?wait=30s"), &json!({"input": {"x": 1}})).await.json()["data"].clone();

        assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!({"got": true})), "{run}");
        assert_eq!(shop.count(), 3);
        let tasks = run["tasks"].as_array().unwrap();
        let names: Vec<_> = tasks.iter().map(|task| (task["name"].as_str().unwrap(), task["reference"].as_str().unwrap())).collect();
        assert_eq!(names[0], ("first", "/do/0/first"));
        assert_eq!(names[1], ("careful", "/do/1/careful"));
        assert_eq!(names[2], ("ask", "/do/1/careful/try/0/ask"));
        assert_eq!(names.last(), Some(&("last", "/do/2/last")));
        assert_eq!((&tasks[0]["input"], &tasks[0]["output"]), (&json!({"x": 1}), &json!({"n": 1})));
        let attempts: i64 = tasks.iter().filter(|task| task["name"] == "ask").map(|task| task["attempts"].as_i64().unwrap()).max().unwrap();
        assert_eq!(attempts, 3, "{tasks:?}");
        for task in tasks {
            assert!(task["startedAt"].as_i64() <= task["endedAt"].as_i64(), "{task}");
        }
        let keys: std::collections::BTreeSet<_> = shop.requests().iter().map(|call| call.header("idempotency-key").unwrap().to_owned()).collect();
        assert!(!keys.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulted_run_says_why() {
    on_both(async |bed| {
        let rest = "do:\n- before:\n    set: { n: 1 }\n- fail:\n    raise: { error: { type: 'https://example.com/errors/no', status: 409, title: No, detail: 'not today' } }\n- never:\n    set: { n: 2 }\n";
        bed.load("one", "", rest).await;
        let run = bed.post(&format!("{START}?wait=30s"), &json!({})).await.json()["data"].clone();
        assert_eq!((&run["status"], run.get("output")), (&json!("faulted"), None));
        let error = &run["error"];
        assert_eq!((&error["type"], &error["status"]), (&json!("https://example.com/errors/no"), &json!(409)), "{run}");
        assert_eq!((&error["title"], &error["detail"], &error["instance"]), (&json!("No"), &json!("not today"), &json!("/do/1/fail")));
        let tasks = run["tasks"].as_array().unwrap();
        assert_eq!((tasks.len(), &tasks[1]["status"]), (2, &json!("faulted")));
        assert_eq!(tasks[1]["error"]["title"], "No");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_starts_one_run() {
    on_both(async |bed| {
        bed.load("one", "", "do:\n- note:\n    set: { n: 1 }\n").await;
        let headers = [OPERATOR, JSON, ("idempotency-key", "start-1")];
        let first = bed.send("POST", START, &headers, "{}").await;
        let again = bed.send("POST", START, &headers, "{}").await;
        let other = bed.send("POST", START, &headers, r#"{"input":{"n":1}}"#).await;
        assert_eq!(
            (first.status, &first.body, first.header("location")),
            (201, &again.body, again.header("location"))
        );
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!((other.status, code(&other).as_str()), (422, "UNPROCESSABLE"));
        assert_eq!(bed.get("/api/v1/runs").await.json()["meta"]["total"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_makes_no_sense_is_refused() {
    on_both(async |bed| {
        bed.load("one", "", "do:\n- note:\n    set: { n: 1 }\n").await;
        for (body, wanted) in [("[]", "VALIDATION_ERROR"), ("{", "BAD_REQUEST"), ("7", "VALIDATION_ERROR")] {
            let reply = bed.send("POST", START, &[OPERATOR, JSON], body).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, wanted), "{body}");
        }
        let text = bed.send("POST", START, &[OPERATOR, ("content-type", "text/plain")], "x").await;
        assert_eq!(text.status, 415);
        for (path, body) in [("nowhere", "{}"), ("nowhere", "{")] {
            let path = format!("/api/v1/workflows/shop/{path}/runs");
            let reply = bed.send("POST", &path, &[OPERATOR, JSON], body).await;
            assert_eq!(
                (reply.status, code(&reply).as_str()),
                (404, "NOT_FOUND"),
                "the path is looked at before the body"
            );
        }
        assert_eq!(bed.get("/api/v1/runs/run_nothing").await.status, 404);
        assert_eq!(bed.data("/api/v1/runs").await, json!([]));
        assert_eq!(bed.send("POST", START, &[OPERATOR], "").await.status, 201, "no body is an empty input");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_that_never_ends_faults_its_own_run_while_another_completes() {
    on_both(async |bed| {
        bed.load(
            "one",
            "{ type: go }",
            "do:\n- spin:\n    set: { n: '${ [limit(10; repeat(1))] | until(false; .) }' }\n",
        )
        .await;
        bed.load("two", "{ type: go }", "do:\n- note:\n    set: { n: 1 }\n").await;
        let sent = bed.signal("go", json!({})).await;
        let run = |name: &str| {
            let runs = sent["runs"].as_array().unwrap();
            runs.iter().find(|run| run["workflow"] == format!("shop/{name}")).unwrap()["run_id"].clone()
        };
        assert_eq!(bed.ended(&run("two")).await["output"], json!({"n": 1}));
        let spun = bed.ended(&run("one")).await;
        assert_eq!(spun["status"], "faulted", "{spun}");
        assert!(spun["error"]["detail"].is_string(), "{spun}");
        assert_eq!(
            bed.put("two", &workflow("two", "", "do:\n- note:\n    set: { n: 1 }\n")).await.status,
            200
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_run_names_its_parent() {
    on_both(async |bed| {
        bed.load("inner", "", "do:\n- double:\n    set: { n: '${ $workflow.input.n * 2 }' }\n").await;
        let child = "{ namespace: shop, name: inner, version: '1.0.0', input: { n: '${ .n }' } }";
        bed.load("one", "", &format!("do:\n- ask:\n    run: {{ workflow: {child} }}\n")).await;
        let run =
            bed.post(&format!("{START}?wait=30s"), &json!({"input": {"n": 4}})).await.json()["data"].clone();

        let inner = bed.data("/api/v1/runs?name=inner").await[0].clone();

        assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!({"n": 8})), "{run}");
        assert_eq!(inner["parent"], json!({"id": run["id"], "depth": 1}), "{inner}");
        assert_eq!(run.get("parent"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_very_many_tasks_says_how_many_are_no_longer_shown() {
    on_both(async |bed| {
        let each = "for: { each: n, in: '${ [range(0; 1500)] }' }\n    do:\n    - note:\n        set: { n: '${ $n }' }";
        bed.load("one", "", &format!("do:\n- count:\n    {each}\n")).await;
        let run = bed.post(&format!("{START}?wait=30s"), &json!({})).await.json()["data"].clone();

        let shown = run["tasks"].as_array().map(Vec::len).unwrap_or_default() as u64;

        assert_eq!(run["output"], json!({"n": 1_499}), "{}", run["error"]);
        assert!(shown <= 1_001, "{shown}");
        assert_eq!(run["tasksOmitted"].as_u64().unwrap_or_default() + shown, 1_501);
    })
    .await;
}
