//! Projects, API keys, first answers and rate counts.
//!
//! Invariant: what is remembered is found until it is too old, then never again.
//! Not here: what a scope or a limit means.

use crate::support::{NOW, key, on_both, project, set, stranger, tenant};
use openevent_store::Error;
use openevent_store::idempotency::{KEPT_MS, Remembered};
use openevent_store::keys::KeyRecord;
use openevent_store::rates::Count;

#[tokio::test]
async fn a_project_is_made_once() {
    on_both(async |bed| {
        let (first, second) = (project("shop"), project("shop"));

        let (one, two) =
            tokio::join!(bed.store.ensure_project(first.clone()), bed.store.ensure_project(second.clone()),);

        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one, two);
        assert!(one == first || one == second);
        assert_eq!(bed.store.project_by_id(&one.id).await.unwrap(), Some(one));
        assert_eq!(bed.store.project("other").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_and_revoked_once() {
    on_both(async |bed| {
        let home = project("shop");
        let given = key(&home, "h");
        let new = set(|set| {
            set.add_project(&home);
            set.add_key(&given);
        });
        bed.store.submit(new).await.unwrap();

        let found = bed.store.key_by_hash("h").await.unwrap().unwrap();
        bed.store.submit(set(|set| set.revoke_key(&given.id, NOW))).await.unwrap();
        let again = bed.store.submit(set(|set| set.revoke_key(&given.id, NOW + 1))).await;

        assert_eq!(found, given);
        assert!(found.is_usable(NOW) && !found.is_usable(NOW + 1));
        assert!(matches!(again, Err(Error::Missed(_))));
        let revoked = bed.store.key_by_hash("h").await.unwrap().unwrap();
        assert!(revoked.revoked_at == Some(NOW) && !revoked.is_usable(NOW));
        assert_eq!(bed.store.key_by_hash("g").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_newest_first_and_the_last_use_only_moves_on() {
    on_both(async |bed| {
        let home = project("shop");
        let unlimited = KeyRecord { rate_limit: None, expires_at: None, ..key(&home, "b") };
        let (older, newer) = (key(&home, "a"), unlimited);
        let new = set(|set| {
            set.add_project(&home);
            set.add_key(&older);
            set.add_key(&newer);
        });
        bed.store.submit(new).await.unwrap();

        for at in [NOW + 5, NOW + 3] {
            bed.store.submit(set(|set| set.touch_key(&newer.id, at))).await.unwrap();
        }

        let touched = KeyRecord { last_used_at: Some(NOW + 5), ..newer };
        let mut expected = vec![older, touched];
        expected.sort_by(|one, other| other.id.cmp(&one.id));
        assert_eq!(bed.store.keys().await.unwrap(), expected);
    })
    .await;
}

#[tokio::test]
async fn a_first_answer_is_recalled_until_it_is_too_old() {
    on_both(async |bed| {
        let given = Remembered { fingerprint: "f".into(), answer: "{\"a\":1}".into(), created_at: NOW };
        bed.store.submit(set(|set| set.remember(&tenant(), "k", &given))).await.unwrap();

        let found = bed.store.recall(&tenant(), "k", NOW + KEPT_MS).await.unwrap();
        let theirs = bed.store.recall(&stranger(), "k", NOW).await.unwrap();
        let too_old = bed.store.recall(&tenant(), "k", NOW + KEPT_MS + 1).await.unwrap();
        let free_again = bed.store.submit(set(|set| set.remember(&tenant(), "k", &given))).await;

        assert_eq!(found, Some(given.clone()));
        assert_eq!((theirs, too_old), (None, None));
        assert!(free_again.is_ok());
    })
    .await;
}

#[tokio::test]
async fn old_answers_are_forgotten() {
    on_both(async |bed| {
        let at = |created_at| Remembered { fingerprint: "f".into(), answer: "{}".into(), created_at };
        let two = set(|set| {
            set.remember(&tenant(), "old", &at(NOW - KEPT_MS - 1));
            set.remember(&tenant(), "new", &at(NOW));
        });
        bed.store.submit(two).await.unwrap();

        bed.store.forget(NOW).await.unwrap();

        let early = NOW - KEPT_MS;
        assert_eq!(bed.store.recall(&tenant(), "old", early).await.unwrap(), None);
        assert!(bed.store.recall(&tenant(), "new", early).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn rate_counts_are_replaced_and_forgotten_by_window() {
    on_both(async |bed| {
        let count =
            |subject: &str, window_start, calls| Count { subject: subject.into(), window_start, calls };
        for counts in
            [[count("a", NOW, 1), count("b", NOW, 2)], [count("a", NOW + 10, 3), count("c", NOW, 1)]]
        {
            bed.store.submit(set(|set| counts.iter().for_each(|count| set.put_count(count)))).await.unwrap();
        }

        let mut since = bed.store.counts(NOW).await.unwrap();
        bed.store.submit(set(|set| set.forget_counts(NOW + 10))).await.unwrap();
        let left = bed.store.counts(0).await.unwrap();

        since.sort_by(|one, other| one.subject.cmp(&other.subject));
        assert_eq!(since, [count("a", NOW + 10, 3), count("b", NOW, 2), count("c", NOW, 1)]);
        assert_eq!(left, [count("a", NOW + 10, 3)]);
    })
    .await;
}
