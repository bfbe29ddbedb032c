//! The workflows folder.
//!
//! Invariant: a broken file is reported and changes nothing, neither of the others nor of what it said before.
//! Not here: watching; a look at the folder is asked for directly.

use crate::bed::{Bed, OPERATOR, code, on_both, workflow};
use openevent_server::app::folder::{self, Report};
use openevent_testkit::{Answer, Receiver};
use serde_json::json;
use std::path::Path;

async fn look(bed: &Bed, folder: &Path) -> Report {
    let app = &bed.app;
    let project = &app.keyring.operator().project_id;
    folder::load(folder, &app.store, &app.engine, project, app.clock.now()).await.expect("a look")
}

fn set(n: i32) -> String {
    format!("do:\n- note:\n    set: {{ n: {n} }}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_files_are_loaded_and_broken_ones_are_reported_with_their_line() {
    on_both(async |bed| {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("good.yaml", workflow("good", "{ type: a.b }", &set(1)));
        write("json.json", json!({"document": {"dsl": "1.0.0", "namespace": "shop", "name": "json", "version": "1.0.0"}, "do": [{"note": {"set": {"n": 1}}}]}).to_string());
        write("broken.yaml", workflow("broken", "", "do:\n- note:\n    sett: { n: 1 }\n"));
        write("text.yml", "just: [text".to_owned());
        write("notes.txt", "not read".to_owned());

        let report = look(bed, folder.path()).await;

        assert_eq!(report.loaded, 2);
        let mut broken: Vec<_> = report.broken.iter().map(|one| one.file.file_name().unwrap().to_owned()).collect();
        broken.sort();
        assert_eq!(broken, ["broken.yaml", "text.yml"]);
        let reasons = &report.broken.iter().find(|one| one.file.ends_with("broken.yaml")).unwrap().reasons;
        assert!(reasons.iter().any(|reason| reason.contains("line 3") || reason.contains("3:")), "{reasons:?}");
        let listed = bed.data("/api/v1/workflows").await;
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert!(listed.as_array().unwrap().iter().all(|one| one["origin"] == "file"));
        let run = bed.signal("a.b", json!({})).await["runs"][0]["run_id"].clone();
        assert_eq!(bed.ended(&run).await["output"], json!({"n": 1}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_counts_a_file_that_breaks_goes_on_and_one_that_is_gone_ends() {
    on_both(async |bed| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.yaml");
        let output = async || {
            let run = bed.post("/api/v1/workflows/shop/one/runs?wait=30s", &json!({})).await;
            (run.status == 200).then(|| run.json()["data"]["output"]["n"].clone())
        };
        std::fs::write(&path, workflow("one", "", &set(1))).unwrap();
        look(bed, folder.path()).await;
        assert_eq!(output().await, Some(json!(1)));

        std::fs::write(&path, workflow("one", "", &set(2))).unwrap();
        look(bed, folder.path()).await;
        assert_eq!(output().await, Some(json!(2)));

        std::fs::write(&path, "do: [").unwrap();
        assert_eq!(look(bed, folder.path()).await.broken.len(), 1);
        assert_eq!(output().await, Some(json!(2)));

        std::fs::remove_file(&path).unwrap();
        look(bed, folder.path()).await;
        assert_eq!(output().await, None);
        assert_eq!(bed.get("/api/v1/workflows/shop/one").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_changed_in_the_folder_and_not_through_the_api() {
    on_both(async |bed| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one.yaml"), workflow("one", "", &set(1))).unwrap();
        look(bed, folder.path()).await;
        let put = bed.put("one", &workflow("one", "", &set(2))).await;
        let gone = bed.send("DELETE", "/api/v1/workflows/shop/one", &[OPERATOR], "").await;
        assert_eq!((put.status, code(&put).as_str()), (409, "CONFLICT"));
        assert_eq!((gone.status, code(&gone).as_str()), (409, "CONFLICT"));

        bed.load("two", "", &set(1)).await;
        std::fs::write(folder.path().join("two.yaml"), workflow("two", "", &set(2))).unwrap();
        assert_eq!(look(bed, folder.path()).await.broken.len(), 1, "what the API put is not overwritten");
        assert_eq!(bed.data("/api/v1/workflows/shop/two").await["origin"], "api");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_not_there_is_empty() {
    on_both(async |bed| {
        let folder = tempfile::tempdir().unwrap();
        let report = look(bed, &folder.path().join("nowhere")).await;
        assert_eq!((report.loaded, report.broken.len()), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_keeps_what_it_was_linked_with_when_the_other_host_is_away() {
    on_both(async |bed| {
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        receiver.answer_with(|_, _| Answer::status(200).body("set: { hello: '${ .n }' }\n"));
        let call =
            format!("do:\n- ask:\n    call: '{}'\n    with: {{ n: 1 }}\n", receiver.url("/f/function.yaml"));
        std::fs::write(folder.path().join("far.yaml"), workflow("far", "", &call)).unwrap();

        let first = look(bed, folder.path()).await;
        let before = bed.data("/api/v1/workflows/shop/far").await;
        receiver.answer_with(|_, _| Answer::status(503));
        let second = look(bed, folder.path()).await;

        assert_eq!((first.unlinked, second.unlinked, receiver.count()), (0, 0, 1));
        assert_eq!(bed.data("/api/v1/workflows/shop/far").await["hash"], before["hash"]);
        std::fs::write(folder.path().join("new.yaml"), workflow("new", "", &call)).unwrap();
        let third = look(bed, folder.path()).await;
        assert_eq!((third.loaded, third.unlinked), (2, 1));
    })
    .await;
}
