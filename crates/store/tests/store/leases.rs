//! Leases.
//!
//! Invariant: one holder at a time, by the clock it was given.
//! Not here: what the holder does.

use crate::support::{NOW, on_both};

#[tokio::test]
async fn a_lease_is_held_by_one() {
    on_both(async |bed| {
        assert!(bed.store.lease_take("engine", "a", NOW, 10).await.unwrap());

        assert!(!bed.store.lease_take("engine", "b", NOW + 9, 10).await.unwrap());
        assert!(!bed.store.lease_take("engine", "b", NOW + 10, 10).await.unwrap());
        assert!(bed.store.lease_take("schedules", "b", NOW, 10).await.unwrap());
        assert_eq!(bed.store.lease_holder("engine").await.unwrap().as_deref(), Some("a"));
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_expires_can_be_taken_by_another() {
    on_both(async |bed| {
        bed.store.lease_take("engine", "a", NOW, 10).await.unwrap();

        assert!(bed.store.lease_take("engine", "b", NOW + 11, 10).await.unwrap());

        assert!(!bed.store.lease_take("engine", "a", NOW + 12, 10).await.unwrap());
        assert_eq!(bed.store.lease_holder("engine").await.unwrap().as_deref(), Some("b"));
    })
    .await;
}

#[tokio::test]
async fn a_renewed_lease_lasts_longer() {
    on_both(async |bed| {
        bed.store.lease_take("engine", "a", NOW, 10).await.unwrap();

        assert!(bed.store.lease_take("engine", "a", NOW + 8, 10).await.unwrap());

        assert!(!bed.store.lease_take("engine", "b", NOW + 15, 10).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_lease_given_back_is_free_at_once() {
    on_both(async |bed| {
        bed.store.lease_take("engine", "a", NOW, 10).await.unwrap();

        bed.store.lease_drop("engine", "b").await.unwrap();
        assert!(!bed.store.lease_take("engine", "b", NOW, 10).await.unwrap());
        bed.store.lease_drop("engine", "a").await.unwrap();

        assert_eq!(bed.store.lease_holder("engine").await.unwrap(), None);
        assert!(bed.store.lease_take("engine", "b", NOW, 10).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn of_many_who_reach_for_a_lease_one_gets_it() {
    on_both(async |bed| {
        let other = bed.another().await;
        let mut takers = tokio::task::JoinSet::new();
        for n in 0..16 {
            let store = std::sync::Arc::clone(if n % 2 == 0 { &bed.store } else { &other });
            takers.spawn(async move { store.lease_take("engine", &format!("node-{n}"), NOW, 10).await });
        }

        let held = takers.join_all().await;

        assert_eq!(held.into_iter().filter(|held| *held.as_ref().unwrap()).count(), 1);
    })
    .await;
}
