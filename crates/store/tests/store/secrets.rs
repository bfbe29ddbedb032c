//! Secrets at rest, and the file of keys they are sealed under.
//!
//! Invariant: no plain text of a secret is in the database, and no instant of a rotation loses one.
//! Not here: who may read a secret; what runs do with it.

use crate::support::{NOW, chance, on_both, set, stranger, tenant};
use openevent_store::seal::{KeyFile, SealError, Sealed, Sealer};
use openevent_store::secrets::SecretRecord;
use openevent_store::{Error, Store};
use std::os::unix::fs::PermissionsExt as _;

fn key_file() -> (tempfile::TempDir, KeyFile) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = KeyFile::at(dir.path().join("openevent.key"));
    (dir, file)
}

fn record(name: &str, sealed: Sealed) -> SecretRecord {
    SecretRecord { tenant: tenant(), name: name.into(), sealed, created_at: NOW, updated_at: NOW }
}

fn seal(sealer: &Sealer, plain: &str) -> Sealed {
    sealer.seal("owner", plain.as_bytes(), chance()).expect("sealing works")
}

async fn put(store: &Store, secret: &SecretRecord) {
    store.submit(set(|set| set.put_secret(secret))).await.expect("a secret is put");
}

#[tokio::test]
async fn a_secret_is_put_replaced_listed_and_deleted_by_its_owner_alone() {
    on_both(async |bed| {
        let (_dir, file) = key_file();
        let sealer = file.read_or_make(chance()).unwrap();
        let first = record("stripe", seal(&sealer, "one"));
        let second = SecretRecord {
            updated_at: NOW + 1,
            created_at: NOW + 1,
            ..record("stripe", seal(&sealer, "two"))
        };
        put(&bed.store, &first).await;
        put(&bed.store, &second).await;
        put(&bed.store, &record("mail", seal(&sealer, "three"))).await;

        let found = bed.store.secret(&tenant(), "stripe").await.unwrap();
        let all = bed.store.secrets(&tenant(), 10).await.unwrap();

        assert_eq!(found, Some(SecretRecord { created_at: NOW, ..second }));
        assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["mail", "stripe"]);
        assert_eq!(bed.store.secret(&stranger(), "stripe").await.unwrap(), None);
        assert!(bed.store.secrets(&stranger(), 10).await.unwrap().is_empty());
        let theirs = bed.store.submit(set(|set| set.delete_secret(&stranger(), "stripe"))).await;
        assert!(matches!(theirs, Err(Error::Missed(_))));
        bed.store.submit(set(|set| set.delete_secret(&tenant(), "stripe"))).await.unwrap();
        assert_eq!(bed.store.secret(&tenant(), "stripe").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_rotation_re_seals_what_is_under_older_keys_and_spares_what_changed_meanwhile() {
    on_both(async |bed| {
        let (_dir, file) = key_file();
        let old = file.read_or_make(chance()).unwrap();
        put(&bed.store, &record("a", seal(&old, "one"))).await;
        put(&bed.store, &record("b", seal(&old, "two"))).await;
        let new = file.add_key(&[], chance()).unwrap();

        let stale = bed.store.secrets_not_under(new.key_id(), 10).await.unwrap();
        put(&bed.store, &record("b", seal(&old, "three"))).await;
        let resealing = set(|set| {
            for secret in &stale {
                let plain = new.open("owner", &secret.sealed).unwrap();
                set.reseal_secret(secret, &new.seal("owner", &plain, chance()).unwrap());
            }
        });
        bed.store.submit(resealing).await.unwrap();

        assert_eq!(stale.len(), 2);
        let left = bed.store.secrets_not_under(new.key_id(), 10).await.unwrap();
        assert_eq!(left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["b"]);
        for (name, plain) in [("a", "one"), ("b", "three")] {
            let secret = bed.store.secret(&tenant(), name).await.unwrap().unwrap();
            assert_eq!(new.open("owner", &secret.sealed).unwrap(), plain.as_bytes());
        }
        assert_eq!(bed.store.secret_key_ids().await.unwrap().len(), 2);
    })
    .await;
}

#[test]
fn a_sealed_text_opens_for_its_owner_alone_and_not_when_it_was_changed() {
    let (_dir, file) = key_file();
    let sealer = file.read_or_make(chance()).unwrap();

    let sealed = seal(&sealer, "hush");
    let again = seal(&sealer, "hush");

    assert_ne!(sealed.text, again.text, "equal secrets do not look equal");
    assert_eq!(sealer.open("owner", &sealed).unwrap(), b"hush");
    assert!(matches!(sealer.open("another", &sealed), Err(SealError::Damaged)));
    for text in ["", "AAAA", "not base64!", &sealed.text[4..]] {
        let damaged = Sealed { text: text.to_owned(), ..sealed.clone() };
        assert!(matches!(sealer.open("owner", &damaged), Err(SealError::Damaged)), "{text}");
    }
    let foreign = Sealed { key_id: "0".repeat(16), ..sealed };
    assert!(matches!(sealer.open("owner", &foreign), Err(SealError::UnknownKey(_))));
}

#[test]
fn a_key_file_is_made_once_and_for_its_owner_alone() {
    let (dir, file) = key_file();

    let first = file.read_or_make(chance()).unwrap();
    let second = file.read_or_make(chance()).unwrap();

    assert_eq!(first.key_id(), second.key_id());
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "drafts are not left behind");
    assert!(!format!("{first:?}").contains(std::fs::read_to_string(file.path()).unwrap().trim()));
}

#[test]
fn a_rotation_keeps_the_key_before_and_those_still_needed() {
    let (_dir, file) = key_file();
    let first = file.read_or_make(chance()).unwrap();
    let second = file.add_key(&[], chance()).unwrap();
    let third = file.add_key(&[first.key_id().to_owned()], chance()).unwrap();
    let fourth = file.add_key(&[], chance()).unwrap();

    assert!(second.holds(first.key_id()) && third.holds(first.key_id()) && third.holds(second.key_id()));
    assert!(fourth.holds(third.key_id()) && !fourth.holds(first.key_id()) && !fourth.holds(second.key_id()));
    assert_eq!(fourth.open("owner", &seal(&third, "x")).unwrap(), b"x");
}

#[test]
fn a_file_of_something_else_is_no_key_file() {
    let (_dir, file) = key_file();
    for text in ["", "\n", "hello\n", "aGVsbG8=\n"] {
        std::fs::write(file.path(), text).unwrap();
        assert!(matches!(file.read(), Err(SealError::NoKeys(_))), "{text:?}");
        assert!(file.read_or_make(chance()).is_err());
    }
}

#[test]
fn the_first_key_makes_the_folder_it_lies_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = KeyFile::at(dir.path().join("not/yet/openevent.key"));
    let sealed = seal(&file.read_or_make(chance()).expect("a key"), "one");
    let sealer = file.read().expect("readable").expect("there");
    assert_eq!(sealer.open("owner", &sealed).expect("opened"), b"one");
}
