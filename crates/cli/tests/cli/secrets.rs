//! `secrets …` on the data directory.
//!
//! Invariant: no command prints a value.

use crate::support::Place;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_secret_is_put_listed_and_deleted_without_ever_being_shown() {
    let place = Place::new();

    let first = place.run(&["secrets", "set", "stripe", "--value", "sk_live_hush", "--json"]);
    let second = place.run(&["secrets", "set", "stripe", "--value", "sk_live_hush2", "--json"]);
    let listed = place.run(&["secrets", "list", "--json"]);
    let elsewhere = place.run(&["secrets", "list", "--environment", "test", "--json"]);
    let deleted = place.run(&["secrets", "delete", "stripe"]);
    let again = place.run(&["secrets", "delete", "stripe"]);

    assert_eq!((&first.json()["replaced"], &second.json()["replaced"]), (&false.into(), &true.into()));
    assert_eq!(listed.json()[0]["name"], "stripe");
    assert_eq!(elsewhere.json(), serde_json::json!([]));
    assert_eq!((deleted.code, again.code), (Some(0), Some(1)), "{again:?}");
    for ended in [first, second, listed, deleted] {
        assert!(!ended.stdout.contains("hush") && !ended.stderr.contains("hush"), "{ended:?}");
    }
    let key = place.path("data/openevent.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let database = std::fs::read(place.path("data/openevent.db")).unwrap();
    assert!(!database.windows(4).any(|bytes| bytes == b"hush"));
}

#[test]
fn rotating_makes_a_new_key_and_keeps_the_one_before() {
    let place = Place::new();
    place.run(&["secrets", "set", "a", "--value", "one"]);
    let before = std::fs::read_to_string(place.path("data/openevent.key")).unwrap();

    let rotated = place.run(&["secrets", "rotate-key", "--json"]);

    assert_eq!(rotated.json()["resealed"], 1);
    let after = std::fs::read_to_string(place.path("data/openevent.key")).unwrap();
    assert_eq!(after.lines().count(), 2);
    assert!(after.ends_with(&before) && !after.starts_with(&before));
}

#[test]
fn a_lost_key_file_is_told_of_and_not_replaced() {
    let place = Place::new();
    place.run(&["secrets", "set", "a", "--value", "one"]);
    std::fs::remove_file(place.path("data/openevent.key")).unwrap();

    for command in [&["secrets", "set", "b", "--value", "two"][..], &["secrets", "rotate-key"]] {
        let ended = place.run(command);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("OPENEVENT_KEY_FILE"), "{ended:?}");
    }
    assert!(!place.path("data/openevent.key").exists());
}

#[test]
fn names_and_values_are_checked_first() {
    let place = Place::new();
    for command in [
        &["secrets", "set", "a b", "--value", "x"][..],
        &["secrets", "set", "a"],
        &["secrets", "set", "a", "--value-stdin"],
    ] {
        let ended = place.run(command);
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    assert!(!place.path("data").exists());
}
