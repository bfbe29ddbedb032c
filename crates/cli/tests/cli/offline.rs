//! What needs neither data nor a server: help, configuration, checking definitions.

use crate::support::Place;

#[test]
fn the_version_is_one_line() {
    let ended = Place::new().run(&["--version"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), concat!("openevent ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[test]
fn a_mistake_on_the_command_line_is_one_line_and_code_2() {
    let ended = Place::new().run(&["keys", "create", "--name"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.lines().count()),
        (Some(2), "", 1),
        "{ended:?}"
    );
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("; hint: "), "{}", ended.stderr);
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_the_file() {
    let place = Place::new();
    place.write("openevent.toml", "data_dri = \"x\"\n");

    let ended = place.run(&["migrate"]);

    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "error: unknown key `data_dri` in openevent.toml; hint: did you mean `data_dir`?\n"
    );
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let place = Place::new();
    place.write("openevent.toml", "data_dir = \"from-file\"\n");
    let variable = [("OPENEVENT_DATA_DIR", "from-variable")];

    place.run_with(&["migrate", "--data-dir", "from-flag"], &variable);
    assert!(place.path("from-flag").exists() && !place.path("from-variable").exists());
    place.run_with(&["migrate"], &variable);
    assert!(place.path("from-variable").exists() && !place.path("from-file").exists());
    place.run(&["migrate"]);
    assert!(place.path("from-file").exists());
}

#[test]
fn a_file_named_on_the_command_line_is_read_instead() {
    let place = Place::new();
    place.write("openevent.toml", "data_dir = \"one\"\n");
    place.write("other.toml", "data_dir = \"two\"\n");

    place.run(&["migrate", "--config", "other.toml"]);

    assert!(place.path("two").exists() && !place.path("one").exists());
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let ended = Place::new().run_with(&["migrate"], &[("OPENEVENT_DATADIR", "x")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with("warning: OPENEVENT_DATADIR"), "{}", ended.stderr);
}

#[test]
fn a_failure_for_programs_is_json() {
    let ended = Place::new().run(&["backup", "x", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(ended.stdout, "");
    assert!(error["error"]["message"].is_string() && error["error"]["hint"].is_string());
}

#[test]
fn an_unusable_definition_is_reported_by_file_and_line() {
    let place = Place::new();
    place.write("bad.yaml", "document:\n  dsl: '1.0.0'\n  namespace: a\n  name: b\n  version: '1.0.0'\ndo:\n  - x:\n      fly: high\n");

    let ended = place.run(&["workflows", "validate", "bad.yaml", "missing.yaml"]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        lines.iter().any(|line| line.starts_with("bad.yaml:7:") || line.starts_with("bad.yaml:8:")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("missing.yaml: ")), "{lines:?}");
}

#[test]
fn the_example_workflow_is_valid() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows/order-created.yaml");

    let ended = Place::new().run(&["workflows", "validate", example, "--json"]);

    let answer = ended.json();
    assert_eq!(answer["valid"], true, "{answer}");
    assert_eq!(answer["files"][0]["workflow"]["name"], "order-created");
    assert_eq!(answer["files"][0]["warnings"], serde_json::json!([]));
}

#[test]
fn a_completion_script_knows_the_commands() {
    let ended = Place::new().run(&["completions", "bash"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("workflows") && ended.stdout.contains("--data-dir"));
}
