//! Event types and workflow definitions.
//!
//! Invariant: a definition stays as long as the database, whatever becomes of its workflow.
//! Not here: parsing either.

use crate::support::{NOW, on_both, set, stranger, tenant};
use openevent_store::event_types::EventType;
use openevent_store::workflows::{Linked, Origin, WorkflowRecord};
use openevent_store::{Error, Store};
use serde_json::json;

fn event_type(name: &str) -> EventType {
    EventType {
        name: name.into(),
        description: Some("An order came in".into()),
        schema: Some(json!({"type": "object"})),
        example: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn workflow(name: &str, version: &str, hash: &str) -> WorkflowRecord {
    WorkflowRecord {
        tenant: tenant(),
        namespace: "shop".into(),
        name: name.into(),
        version: version.into(),
        definition_hash: hash.into(),
        origin: Origin::Api,
        created_at: NOW,
        updated_at: NOW,
        source: format!("# {hash}\n"),
        documents: [(format!("https://example.com/{hash}"), "call: http".to_owned())].into(),
    }
}

async fn put(store: &Store, workflow: &WorkflowRecord) {
    store.submit(set(|set| set.put_workflow(workflow))).await.expect("a workflow is put");
}

#[tokio::test]
async fn an_event_type_is_put_replaced_and_deleted() {
    on_both(async |bed| {
        let first = event_type("order.created");
        let second = EventType {
            description: None,
            example: Some(json!({"a": null})),
            updated_at: NOW + 1,
            created_at: NOW + 1,
            ..first.clone()
        };

        bed.store.submit(set(|set| set.put_event_type(&tenant(), &first))).await.unwrap();
        let found = bed.store.event_type(&tenant(), "order.created").await.unwrap();
        bed.store.submit(set(|set| set.put_event_type(&tenant(), &second))).await.unwrap();
        let replaced = bed.store.event_type(&tenant(), "order.created").await.unwrap();
        bed.store.submit(set(|set| set.delete_event_type(&tenant(), "order.created"))).await.unwrap();
        let gone = bed.store.submit(set(|set| set.delete_event_type(&tenant(), "order.created"))).await;

        assert_eq!(found, Some(first));
        assert_eq!(replaced, Some(EventType { created_at: NOW, ..second }));
        assert!(matches!(gone, Err(Error::Missed(_))));
        assert_eq!(bed.store.event_type(&tenant(), "order.created").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn event_types_are_listed_by_name_and_tenant() {
    on_both(async |bed| {
        let plain = EventType { schema: None, ..event_type("z") };
        let puts = set(|set| {
            for name in ["c", "a", "b"] {
                set.put_event_type(&tenant(), &event_type(name));
            }
            set.put_event_type(&tenant(), &plain);
            set.put_event_type(&stranger(), &event_type("a"));
        });
        bed.store.submit(puts).await.unwrap();

        let listed = bed.store.event_types(&tenant(), 3).await.unwrap();
        let schemas = bed.store.all_schemas().await.unwrap();

        assert_eq!(listed.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(schemas.len(), 4);
        assert!(schemas.iter().all(|(_, found)| found.schema.is_some()));
    })
    .await;
}

#[tokio::test]
async fn a_version_put_again_means_the_new_definition_and_the_old_one_stays() {
    on_both(async |bed| {
        put(&bed.store, &workflow("confirm", "1.0.0", "one")).await;
        let again = WorkflowRecord {
            origin: Origin::File,
            updated_at: NOW + 1,
            created_at: NOW + 1,
            ..workflow("confirm", "1.0.0", "two")
        };

        put(&bed.store, &again).await;

        let all = bed.store.all_workflows().await.unwrap();
        assert_eq!(all, [WorkflowRecord { created_at: NOW, ..again }]);
        let first = workflow("confirm", "1.0.0", "one");
        let linked = Linked { source: first.source, documents: first.documents };
        assert_eq!(bed.store.definition("one").await.unwrap(), Some(linked));
        assert_eq!(bed.store.definition("none").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_version_is_deleted_alone() {
    on_both(async |bed| {
        let theirs = WorkflowRecord { tenant: stranger(), ..workflow("confirm", "1.0.0", "one") };
        for one in [&workflow("confirm", "1.0.0", "one"), &workflow("confirm", "2.0.0", "one"), &theirs] {
            put(&bed.store, one).await;
        }

        let delete = set(|set| set.delete_workflow_version(&tenant(), "shop", "confirm", "1.0.0"));
        bed.store.submit(delete).await.unwrap();

        let left = bed.store.all_workflows().await.unwrap();
        let left: Vec<_> = left.iter().map(|found| (&found.tenant, found.version.as_str())).collect();
        assert_eq!(left, [(&tenant(), "2.0.0"), (&stranger(), "1.0.0")]);
        assert!(bed.store.definition("one").await.unwrap().is_some());
    })
    .await;
}
