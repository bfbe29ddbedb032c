//! What a definition needs from elsewhere, and what its operator has not switched on.
//!
//! Invariant: a document is asked for when a definition is put, never when it runs.
//! Not here: which documents there are (`openevent-flow`).

use crate::bed::{code, on_both, workflow};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;

fn calling(function: &str) -> String {
    workflow("one", "", &format!("do:\n- ask:\n    call: '{function}'\n    with: {{ n: 1 }}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_elsewhere_is_fetched_once_and_stays_with_the_definition() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let home = receiver.url("");
        receiver.answer_with(move |request, _| match request.path() {
            "/greet/function.yaml" => Answer::status(200).body("set: { hello: '${ .n }' }\n"),
            _ => Answer::json(&json!({"home": home})),
        });
        let source = calling(&receiver.url("/greet/function.yaml"));

        let put = bed.put("one", &source).await;
        receiver.answer_with(|_, _| Answer::status(500));
        let run = bed.post("/api/v1/workflows/shop/one/runs?wait=30s", &json!({})).await.json();

        assert_eq!(put.status, 201, "{}", put.text());
        assert_eq!((&run["data"]["output"], receiver.count()), (&json!({"hello": 1}), 1), "{run}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_cannot_be_had_is_told_with_its_place() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::status(404));
        let source = calling(&receiver.url("/greet/function.yaml"));

        let refused = bed.put("one", &source).await;
        let path = "/api/v1/workflows/shop/one?allowUnsupported=true";
        let allowed = bed.send("PUT", path, &[crate::bed::OPERATOR, crate::bed::YAML], source).await;
        let run = bed.post("/api/v1/workflows/shop/one/runs?wait=30s", &json!({})).await.json();

        assert_eq!((refused.status, code(&refused).as_str()), (400, "VALIDATION_ERROR"));
        let detail = &refused.json()["error"]["details"][0];
        assert!(detail["path"].as_str().is_some_and(|path| path.starts_with("/do/0/ask")), "{detail}");
        assert!(detail["line"].as_u64().is_some_and(|line| line > 1), "{detail}");
        assert!(detail["reason"].as_str().is_some_and(|reason| reason.contains("404")), "{detail}");
        assert_eq!(allowed.status, 201, "{}", allowed.text());
        assert_eq!(run["data"]["status"], "faulted", "{run}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_of_the_folder_is_the_default_catalogs() {
    on_both(async |bed| {
        let folder = bed.functions().join("greet/1.0.0");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("function.yaml"), "set: { hello: '${ .n }' }\n").unwrap();

        let put = bed.put("one", &calling("greet:1.0.0@default")).await;
        let run = bed.post("/api/v1/workflows/shop/one/runs?wait=30s", &json!({})).await.json();
        let missing = bed.put("one", &calling("greet:2.0.0@default")).await;

        assert_eq!(put.status, 201, "{}", put.text());
        assert_eq!(run["data"]["output"], json!({"hello": 1}), "{run}");
        assert_eq!(missing.status, 400);
        assert!(missing.text().contains("greet/2.0.0"), "{}", missing.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_off_are_refused_unless_allowed_and_then_fault() {
    on_both(async |bed| {
        for (process, what) in [
            ("{ shell: { command: 'true' } }", "shell"),
            ("{ script: { language: python, code: '1' } }", "script"),
        ] {
            let source = workflow("one", "", &format!("do:\n- work: {{ run: {process} }}\n"));

            let refused = bed.put("one", &source).await;
            let checked = bed
                .send(
                    "POST",
                    "/api/v1/workflows/validate",
                    &[crate::bed::OPERATOR, crate::bed::YAML],
                    source.clone(),
                )
                .await;
            let path = "/api/v1/workflows/shop/one?allowUnsupported=true";
            let allowed = bed.send("PUT", path, &[crate::bed::OPERATOR, crate::bed::YAML], source).await;
            let run = bed.post("/api/v1/workflows/shop/one/runs?wait=30s", &json!({})).await.json();

            assert_eq!(refused.status, 400, "{what}");
            assert_eq!(
                (checked.status, checked.json()["meta"]["warnings"].as_array().map(Vec::len)),
                (200, Some(1)),
                "{what}"
            );
            assert!(matches!(allowed.status, 200 | 201), "{}", allowed.text());
            let kind = run["data"]["error"]["type"].as_str().unwrap_or_default();
            assert!(kind.ends_with("/configuration"), "{run}");
        }
    })
    .await;
}
