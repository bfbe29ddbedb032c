//! `migrate`, `doctor`, `backup`: the commands about the data directory.

use crate::support::Place;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn migrating_makes_a_private_directory_and_twice_is_fine() {
    let place = Place::new();

    let first = place.run(&["migrate", "--data-dir", "d/e", "--json"]).json();
    let second = place.run(&["migrate", "--data-dir", "d/e", "--json"]).json();

    assert_eq!(first, second);
    assert!(first["applied"].as_array().is_some_and(|applied| !applied.is_empty()));
    let mode = std::fs::metadata(place.path("d/e")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_doctor_is_content_with_a_fresh_database() {
    let place = Place::new();
    place.run(&["migrate"]);

    let found = place.run(&["doctor", "--json"]).json();

    assert_eq!(found["well"], true, "{found}");
    let checks: Vec<&str> =
        found["findings"].as_array().unwrap().iter().filter_map(|one| one["check"].as_str()).collect();
    let wanted =
        ["configuration", "data directory", "disk space", "fsync", "database", "schema", "statements"];
    assert!(wanted.iter().all(|check| checks.contains(check)), "{checks:?}");
}

#[test]
fn the_doctor_makes_nothing_where_there_is_nothing() {
    let place = Place::new();

    let ended = place.run(&["doctor"]);

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("none yet"), "{}", ended.stdout);
    assert!(!place.path("data").exists());
}

#[test]
fn the_doctor_calls_a_file_that_is_no_database_bad() {
    let place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    place.write("data/openevent.db", &"this is not a database ".repeat(1_000));

    let ended = place.run(&["doctor"]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains('✗'), "{}", ended.stdout);
}

#[test]
fn the_doctor_refuses_a_token_that_looks_like_a_key_without_showing_it() {
    let place = Place::new();

    let ended = place.run_with(&["doctor"], &[("COMPOZY_API_TOKEN", "oe_live_hush")]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stdout.contains("hush") && !ended.stderr.contains("hush"));
}

#[test]
fn a_backup_is_a_database_with_everything_in_it() {
    let place = Place::new();
    let made = place.run(&["keys", "create", "--name", "kept", "--scopes", "*", "--json"]).json();
    std::fs::create_dir(place.path("copy")).unwrap();

    let saved = place.run(&["backup", "copy/openevent.db", "--json"]).json();

    assert!(saved["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    let listed = place.run(&["keys", "list", "--data-dir", "copy", "--json"]).json();
    assert_eq!(listed[0]["id"], made["id"]);
    let mode = std::fs::metadata(place.path("copy/openevent.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_backup_never_writes_over_a_file() {
    let place = Place::new();
    place.run(&["migrate"]);
    let file = place.write("precious", "mine");

    let ended = place.run(&["backup", "precious"]);

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("exists already"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn a_backup_of_nothing_leaves_no_file() {
    let place = Place::new();

    let ended = place.run(&["backup", "copy.db"]);

    assert_eq!(ended.code, Some(1));
    assert!(!place.path("copy.db").exists() && !place.path("data").exists());
}
