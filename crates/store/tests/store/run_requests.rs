//! What is asked of runs at other nodes.
//!
//! Invariant: a request is in one hand, and one that was withdrawn or is old is in none.
//! Not here: doing it.

use crate::support::{NOW, chance, on_both, tenant};
use openevent_domain::id::{AuditId, RunId};
use openevent_store::Dialect;
use openevent_store::audit::AuditRecord;
use openevent_store::run_requests::RunRequest;
use openevent_testkit::PATIENCE;
use serde_json::json;

fn request(id: &str, asked_at: i64) -> RunRequest {
    let run = RunId::mint(NOW, chance());
    let act = AuditRecord {
        id: AuditId::mint(NOW, chance()),
        tenant: tenant(),
        actor_kind: "operator".into(),
        actor: "operator".into(),
        actor_name: None,
        action: "run.suspend".into(),
        target_kind: "run".into(),
        target: run.to_string(),
        before: None,
        after: Some(json!({"status": "suspended"})),
        request_id: Some("r".into()),
        address: None,
        created_at: NOW,
    };
    RunRequest { id: id.into(), tenant: tenant(), run, control: "suspend".into(), act, asked_at }
}

#[tokio::test]
async fn a_request_is_taken_once_and_answered_to_who_asked() {
    on_both(async |bed| {
        let (store, asked) = (&bed.store, request("a", NOW));
        store.ask_of_run(&asked).await.unwrap();

        assert_eq!(store.run_requests(NOW).await.unwrap(), [asked]);
        assert!(store.take_run_request("a").await.unwrap());
        assert!(!store.take_run_request("a").await.unwrap(), "it is in a hand");
        assert!(store.run_requests(NOW).await.unwrap().is_empty());
        assert_eq!(store.run_request_answer("a").await.unwrap(), None);

        let mut elsewhere = bed.another().await.wake().stirred();
        elsewhere.mark_unchanged();
        let mut here = store.wake().stirred();
        store.answer_run_request("a", true).await.unwrap();

        assert_eq!(store.run_request_answer("a").await.unwrap(), Some(true));
        tokio::time::timeout(PATIENCE, here.changed()).await.expect("who waits is woken").unwrap();
        if store.dialect() == Dialect::Postgres {
            tokio::time::timeout(PATIENCE, elsewhere.changed()).await.expect("on every node").unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_withdrawn_or_is_old_is_in_nobodys_hand() {
    on_both(async |bed| {
        let store = &bed.store;
        for (id, at) in [("old", NOW - 10), ("new", NOW), ("withdrawn", NOW)] {
            store.ask_of_run(&request(id, at)).await.unwrap();
        }

        store.withdraw_run_request("withdrawn").await.unwrap();
        let taken = store.take_run_request("withdrawn").await.unwrap();
        let open = async |since| {
            let open = store.run_requests(since).await.unwrap();
            open.into_iter().map(|request| request.id).collect::<Vec<_>>()
        };
        let (recent, all) = (open(NOW).await, open(0).await);
        store.forget_run_requests(NOW).await.unwrap();

        assert!(!taken);
        assert_eq!((recent, all), (vec!["new".to_owned()], vec!["old".to_owned(), "new".to_owned()]));
        assert_eq!(open(0).await, ["new"]);
    })
    .await;
}
