//! `keys create|list|revoke`.

use crate::support::Place;
use serde_json::json;

#[test]
fn a_new_key_is_printed_with_the_names_of_the_contract() {
    let place = Place::new();

    let made = place
        .run(&["keys", "create", "--name", "ci", "--scopes", "events:read,events:write", "--json"])
        .json();

    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["environment", "id", "key", "name", "project", "scopes"]);
    assert!(made["id"].as_str().unwrap().starts_with("key_"));
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("oe_live_") && key.len() == 40, "{key}");
    assert_eq!(
        (&made["name"], &made["environment"], &made["project"]),
        (&json!("ci"), &json!("live"), &json!("default"))
    );
    assert_eq!(made["scopes"], json!(["events:read", "events:write"]));
}

#[test]
fn a_list_shows_every_key_but_no_secret() {
    let place = Place::new();
    let made = place
        .run(&[
            "keys",
            "create",
            "--name",
            "a",
            "--scopes",
            "*",
            "--environment",
            "test",
            "--project",
            "acme",
            "--rate-limit",
            "10",
            "--json",
        ])
        .json();

    let listed = place.run(&["keys", "list", "--json"]);

    let secret = made["key"].as_str().unwrap();
    assert!(!listed.stdout.contains(secret));
    let listed = listed.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["project"], &listed[0]["environment"]),
        (&made["id"], &json!("acme"), &json!("test"))
    );
    assert_eq!((&listed[0]["rateLimit"], &listed[0]["prefix"]), (&json!(10), &json!(secret[..12])));
}

#[test]
fn a_revoked_key_stays_in_the_list_and_cannot_be_revoked_again() {
    let place = Place::new();
    let made = place.run(&["keys", "create", "--name", "a", "--scopes", "*", "--json"]).json();
    let id = made["id"].as_str().unwrap();

    let revoked = place.run(&["keys", "revoke", id, "--json"]).json();
    let again = place.run(&["keys", "revoke", id]);

    assert_eq!(&revoked["id"], &made["id"]);
    assert!(place.run(&["keys", "list", "--json"]).json()[0]["revokedAt"].is_i64());
    assert!(place.run(&["keys", "list"]).stdout.contains("revoked"));
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.starts_with("error: ") && again.stderr.contains("; hint: "), "{}", again.stderr);
}

#[test]
fn a_literal_key_is_stored_as_given_once() {
    let place = Place::new();
    let create =
        ["keys", "create", "--name", "seed", "--scopes", "*", "--literal", "oe_test_seeded", "--json"];

    let made = place.run(&create).json();
    let again = place.run(&create);

    assert_eq!((&made["key"], &made["environment"]), (&json!("oe_test_seeded"), &json!("test")));
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let place = Place::new();
    let with = |more: &[&'static str]| [&["keys", "create", "--name", "a"], more].concat();
    let refused = [
        with(&["--scopes", "events:fly"]),
        with(&["--scopes", "*", "--literal", "secret"]),
        with(&["--scopes", "*", "--literal", "oe_live_x", "--environment", "test"]),
        with(&["--scopes", "*", "--rate-limit", "0"]),
        with(&["--scopes", "*", "--environment", "prod"]),
        with(&["--scopes", "*", "--name", " "]),
    ];

    for args in refused {
        let ended = place.run(&args);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn an_expiry_that_has_passed_is_refused() {
    let ended = Place::new().run(&["keys", "create", "--name", "a", "--scopes", "*", "--expires-at", "1"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
