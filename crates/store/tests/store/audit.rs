//! The audit log's table: what was told is read back by tenant, and goes when it is old.
//!
//! Invariant: no tenant reads another's rows.
//! Not here: what is told (the server's suite).

use crate::support::{NOW, on_both};
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::AuditId;
use openevent_domain::tenant::Tenant;
use openevent_store::audit::{AuditRecord, Filter, Order, Place};
use openevent_store::{Store, WriteSet};
use serde_json::json;

const DAY_MS: Millis = 86_400_000;

#[derive(Debug)]
struct Ones;

impl Chance for Ones {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

fn told(tenant: &str, at: Millis) -> AuditRecord {
    AuditRecord {
        id: AuditId::mint(at, &Ones),
        tenant: Tenant::trusted(tenant.to_owned()),
        actor_kind: "key".into(),
        actor: "key_1".into(),
        actor_name: Some("web".into()),
        action: "event.update".into(),
        target_kind: "event".into(),
        target: "evt_1".into(),
        before: Some(json!({"title": "a\u{0}b"})),
        after: None,
        request_id: Some("req-1".into()),
        address: None,
        created_at: at,
    }
}

async fn tell(store: &Store, rows: &[AuditRecord]) {
    let mut set = WriteSet::new();
    for row in rows {
        set.add_audit(row);
    }
    store.submit(set).await.expect("the rows are stored");
}

async fn all(store: &Store, tenant: &str) -> Vec<AuditRecord> {
    let tenant = Tenant::trusted(tenant.to_owned());
    let rows = store.audits(&tenant, &Filter::default(), Order::OldestFirst, &Place::Offset(0), 100).await;
    rows.expect("the log is read")
}

#[tokio::test]
async fn what_was_told_is_read_back_by_its_tenant_alone() {
    on_both(async |bed| {
        let (mine, theirs) = (told("p.live", NOW), told("p.test", NOW + 1));
        tell(&bed.store, &[mine.clone(), theirs.clone()]).await;

        assert_eq!(all(&bed.store, "p.live").await, std::slice::from_ref(&mine));
        assert_eq!(bed.store.audit(&theirs.tenant, &mine.id).await.unwrap(), None);
        assert_eq!(bed.store.audit(&mine.tenant, &mine.id).await.unwrap(), Some(mine));
    })
    .await;
}

#[tokio::test]
async fn what_is_old_goes_and_what_is_young_stays() {
    on_both(async |bed| {
        let (old, young) = (told("p.live", NOW - 31 * DAY_MS), told("p.live", NOW - 29 * DAY_MS));
        tell(&bed.store, &[old, young.clone()]).await;
        let before = NOW - 30 * DAY_MS;

        let first = bed.store.retire_audits(before).await.unwrap();
        let second = bed.store.retire_audits(before).await.unwrap();

        assert_eq!((first, second), (true, false));
        assert_eq!(all(&bed.store, "p.live").await, [young]);
    })
    .await;
}
