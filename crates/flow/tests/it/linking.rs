//! Functions and schemas that are elsewhere become part of the definition.

use openevent_flow::{
    Authentication, Command, Definition, Documents, Input, Outcome, Parsed, Run, secret_stand_in,
};
use serde_json::{Value, json};

use crate::support::{START, started};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: linked, version: '0.1.0' }\n";
const LOG: &str =
    "https://raw.githubusercontent.com/o/catalog/refs/heads/main/functions/log/1.0.0/function.yaml";
const CATALOG: &str = "use: { catalogs: { mine: { endpoint: 'https://github.com/o/catalog/tree/main' } } }\n";

fn read(tasks: &str, documents: &[(&str, &str)]) -> Result<Parsed, Vec<String>> {
    let documents: Documents =
        documents.iter().map(|(address, text)| ((*address).to_owned(), (*text).to_owned())).collect();
    Definition::parse_with(&format!("{HEAD}{tasks}"), &documents)
        .map_err(|issues| issues.iter().map(ToString::to_string).collect())
}

fn linked(tasks: &str, documents: &[(&str, &str)]) -> Definition {
    let parsed = read(tasks, documents).expect("valid");
    assert_eq!(parsed.missing, []);
    parsed.definition
}

fn outcome(def: &Definition, input: Value) -> Outcome {
    match Run::new().apply(def, START, started(input)).commands.pop() {
        Some(Command::Finish(outcome)) => outcome,
        other => panic!("not finished: {other:?}"),
    }
}

#[test]
fn what_is_needed_is_named_until_it_is_there() {
    let tasks = format!("{CATALOG}do:\n  - a: {{ call: 'log:1.0.0@mine', with: {{ n: 1 }} }}\n");
    let outer = "{ call: 'double:2.0.0@mine', with: { n: '${ .n }' }, output: { as: '${ {got: .} }' } }";
    let inner = "{ set: { twice: '${ .n * 2 }' } }";
    let double = LOG.replace("log/1.0.0", "double/2.0.0");

    let first = read(&tasks, &[]).expect("valid").missing;
    let second = read(&tasks, &[(LOG, outer)]).expect("valid").missing;
    let def = linked(&tasks, &[(LOG, outer), (&double, inner)]);

    let places = |missing: &[openevent_flow::Missing]| {
        missing.iter().map(|one| (one.resource.uri.clone(), one.path.clone(), one.line)).collect::<Vec<_>>()
    };
    assert_eq!(places(&first), [(LOG.to_owned(), "/do/0/a/call".to_owned(), 4)]);
    assert_eq!(places(&second), [(double, "/do/0/a/call".to_owned(), 4)]);
    assert_eq!(outcome(&def, json!({})), Outcome::Completed(json!({"got": {"twice": 2}})));
}

#[test]
fn a_document_that_is_not_there_faults_its_task_only() {
    let tasks = "do: [ a: { if: .go, call: 'https://x.example/f.yaml' }, b: { set: { ok: true } } ]";
    let schema = "input: { schema: { resource: { endpoint: 'https://x.example/s.json' } } }\ndo: []";
    let fault = |tasks: &str| match outcome(&read(tasks, &[]).expect("valid").definition, json!({"go": true}))
    {
        Outcome::Faulted(fault) => (fault.r#type, fault.status, fault.instance.unwrap_or_default()),
        other => panic!("not faulted: {other:?}"),
    };
    let communication = "https://serverlessworkflow.io/spec/1.0.0/errors/communication";

    let def = read(tasks, &[]).expect("valid").definition;
    assert_eq!(outcome(&def, json!({"go": false})), Outcome::Completed(json!({"ok": true})));
    assert_eq!(fault(tasks), (communication.to_owned(), 500, "/do/0/a".to_owned()));
    assert_eq!(fault(schema), (communication.to_owned(), 500, "/input".to_owned()));
}

#[test]
fn a_schema_elsewhere_is_applied() {
    let tasks = "input: { schema: { resource: { endpoint: 'https://x.example/s.json' } } }\ndo: []";

    let def = linked(tasks, &[("https://x.example/s.json", r#"{"type": "object", "required": ["id"]}"#)]);

    assert!(def.check_input(&json!({"id": 1})).is_ok());
    assert!(def.check_input(&json!({})).is_err());
}

#[test]
fn the_hash_covers_what_is_linked_and_nothing_else() {
    let tasks = "do: [ a: { call: 'https://x.example/f.yaml' } ]";
    let hash =
        |documents: &[(&str, &str)]| read(tasks, documents).expect("valid").definition.hash().to_owned();
    let (one, other) = ("{ set: { a: 1 } }", "{ set: { a: 2 } }");

    let linked = hash(&[("https://x.example/f.yaml", one)]);

    assert_eq!(linked, hash(&[("https://x.example/f.yaml", one), ("https://x.example/unused", "x")]));
    assert_ne!(linked, hash(&[("https://x.example/f.yaml", other)]));
    assert_ne!(linked, hash(&[]));
}

#[test]
fn what_is_wrong_in_a_document_is_told_where_it_is_named() {
    let tasks =
        "do:\n  - a: { call: 'https://x.example/f.yaml' }\n  - b: { call: 'https://x.example/f.yaml' }\n";
    let wrong = |text: &str| {
        let issues = read(tasks, &[("https://x.example/f.yaml", text)]).map(|_| ()).expect_err("refused");
        assert!(issues[0].starts_with("line 3, column 10, /do/0/a/call: "), "{issues:?}");
        issues[0].clone()
    };

    assert!(wrong("{ set: }").contains("in the function at 'https://x.example/f.yaml', line 1"));
    assert!(wrong("a: [").contains("cannot be read"));
    assert!(wrong("{ call: helper }").contains("no function 'helper'"));
}

#[test]
fn the_default_catalog_needs_no_declaration() {
    let missing = read("do: [ a: { call: 'log:1.0.0@default' } ]", &[]).expect("valid").missing;

    assert_eq!(missing[0].resource.uri, "openevent:catalog/functions/log/1.0.0/function.yaml");
    for name in ["../log:1.0.0@default", "log:..@default", "log@default", "log:1.0.0@other", "a/b:1@default"]
    {
        assert!(read(&format!("do: [ a: {{ call: '{name}' }} ]"), &[]).is_err(), "{name}");
    }
}

#[test]
fn a_document_is_asked_for_with_its_policy() {
    let tasks = |policy: &str| {
        format!(
            "use: {{ secrets: [ s ], catalogs: {{ mine: {{ endpoint: {{ uri: 'https://x', authentication: {policy} }} }} }} }}\ndo: [ a: {{ call: 'f:1@mine' }} ]"
        )
    };
    let policy =
        |text: &str| read(&tasks(text), &[]).expect("valid").missing[0].resource.authentication.clone();

    assert_eq!(
        policy("{ bearer: { token: abc } }"),
        Some(Authentication::Bearer { token: "abc".to_owned() })
    );
    let token = secret_stand_in("s", "token");
    assert_eq!(policy("{ bearer: { use: s } }"), Some(Authentication::Bearer { token: token.clone() }));
    assert_eq!(
        policy("{ bearer: { token: '${ $secrets.s.token }' } }"),
        Some(Authentication::Bearer { token })
    );
    assert!(read(&tasks("{ bearer: { token: '${ .x }' } }"), &[]).is_err());
    assert!(read(&tasks("{ bearer: { use: other } }"), &[]).is_err());
}

#[test]
fn functions_that_call_each_other_end() {
    let tasks = "do: [ a: { call: 'https://x.example/f.yaml' } ]";
    let def = linked(tasks, &[("https://x.example/f.yaml", "{ call: 'https://x.example/f.yaml' }")]);

    let mut run = Run::new();
    let step = run.apply(&def, START, started(json!({})));

    assert!(matches!(step.commands.last(), Some(Command::Finish(Outcome::Faulted(_)))));
    assert!(!run.apply(&def, START, Input::Cancel).accepted);
}
