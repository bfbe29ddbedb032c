//! What is wrong with a definition is told with line, path and reason, all at once.

use openevent_flow::{Definition, IssueKind};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: bad, version: '0.1.0' }\n";

/// Line, path and a part of the reason of each finding.
fn refused(source: &str, expected: &[(usize, &str, &str)]) {
    let Err(issues) = Definition::parse(source) else { panic!("accepted:\n{source}") };
    let found: Vec<_> =
        issues.iter().map(|issue| (issue.line, issue.path.as_str(), issue.reason.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, path, reason), (expected_line, expected_path, part)) in found.iter().zip(expected) {
        assert_eq!((line, path), (expected_line, expected_path), "{found:#?}");
        assert!(reason.contains(part), "'{reason}' does not say '{part}'");
    }
}

fn refused_task(task: &str, path: &str, part: &str) {
    refused(&format!("{HEAD}do:\n  - t: {task}\n"), &[(3, path, part)]);
}

#[test]
fn every_finding_is_reported_in_document_order() {
    refused(
        r"document:
  dsl: 2.0.0
  namespace: Not Valid
  name: good
  version: 1.0
do:
  - first:
      set: { a: '${ .a | }' }
      then: secnd
  - second:
      cal: http
  - second:
      wait: 5 minutes
",
        &[
            (2, "/document/dsl", "version 2.0.0 of the DSL is not supported"),
            (3, "/document/namespace", "letters, digits"),
            (5, "/document/version", "must be a string, not a number"),
            (8, "/do/0/first/set/a", "not a valid expression"),
            (9, "/do/0/first/then", "did you mean 'second'?"),
            (10, "/do/1/second", "did you mean 'call'?"),
            (12, "/do/2/second", "another task named 'second'"),
            (13, "/do/2/second/wait", "not an ISO 8601 duration"),
        ],
    );
}

#[test]
fn the_whole_document_must_be_there() {
    refused("do: []", &[(1, "", "'document' is required")]);
    refused(
        "document: {}\ndo: []",
        &[
            (1, "/document", "'dsl' is required"),
            (1, "/document", "'namespace' is required"),
            (1, "/document", "'name' is required"),
            (1, "/document", "'version' is required"),
        ],
    );
    refused(HEAD, &[(1, "", "'do' is required")]);
    refused("[1, 2]", &[(1, "", "must be an object, not a list")]);
    refused("", &[(1, "", "empty")]);
    refused("a: [b", &[(1, "", "not valid YAML")]);
    refused("document:\n  dsl: '1.0.3'\n  dsl: '1.0.3'\n", &[(3, "", "appears twice")]);
}

#[test]
fn tasks_are_checked_by_kind() {
    refused_task("{ set: {} }", "/do/0/t/set", "nothing to set");
    refused_task("{ set: { a: 1 }, wait: PT1S }", "/do/0/t", "one kind only");
    refused_task("{ set: { a: 1 }, whne: x }", "/do/0/t/whne", "unknown property 'whne'");
    refused_task("{ set: [1] }", "/do/0/t/set", "must be an object");
    refused_task("{ call: http }", "/do/0/t", "'with' is required");
    refused_task("{ call: http, with: { method: get } }", "/do/0/t/with", "'endpoint' is required");
    refused_task(
        "{ call: http, with: { method: get, endpoint: example.com } }",
        "/do/0/t/with/endpoint",
        "not a URI",
    );
    refused_task(
        "{ call: http, with: { method: get, endpoint: 'https://x/{a' } }",
        "/do/0/t/with/endpoint",
        "URI template",
    );
    refused_task(
        "{ call: http, with: { method: get, endpoint: 'https://x', output: all } }",
        "/do/0/t/with/output",
        "raw, content, response",
    );
    refused_task(
        "{ call: http, with: { method: get, endpoint: 'https://x', headers: [a] } }",
        "/do/0/t/with/headers",
        "must be an object",
    );
    refused_task("{ call: nothing }", "/do/0/t/call", "no function 'nothing'");
    refused_task(
        "{ call: grpc, with: { proto: { endpoint: 'https://x' }, service: { name: a, host: b } } }",
        "/do/0/t/with",
        "'method' is required",
    );
    refused_task("{ switch: [] }", "/do/0/t/switch", "at least one case");
    refused_task("{ switch: [ { a: { when: .x } } ] }", "/do/0/t/switch/0/a", "'then' is required");
    refused_task(
        "{ switch: [ { a: { then: end } }, { b: { then: end } } ] }",
        "/do/0/t/switch/1/b",
        "without 'when'",
    );
}

#[test]
fn tasks_about_errors_and_blocks_are_checked() {
    refused_task("{ raise: { error: oops } }", "/do/0/t/raise/error", "no error 'oops'");
    refused_task(
        "{ raise: { error: { type: 'https://x/e' } } }",
        "/do/0/t/raise/error",
        "'status' is required",
    );
    refused_task(
        "{ raise: { error: { type: nope, status: 400 } } }",
        "/do/0/t/raise/error/type",
        "not a URI",
    );
    refused_task(
        "{ raise: { error: { type: 'https://x/e', status: 7 } } }",
        "/do/0/t/raise/error/status",
        "between 100 and 599",
    );
    refused_task("{ try: [], catch: { retry: often } }", "/do/0/t/catch/retry", "no retry policy 'often'");
    refused_task("{ try: [] }", "/do/0/t", "'catch' is required");
    refused_task("{ try: [], catch: { as: 'my error' } }", "/do/0/t/catch/as", "name of a variable");
    refused_task(
        "{ try: [], catch: { errors: { with: {} } } }",
        "/do/0/t/catch/errors/with",
        "at least one property",
    );
    refused_task("{ for: { each: x }, do: [] }", "/do/0/t/for", "'in' is required");
    refused_task("{ for: { in: .x } }", "/do/0/t", "'do' is required");
    refused_task("{ fork: { compete: 1, branches: [] } }", "/do/0/t/fork/compete", "true or false");
}

#[test]
fn tasks_about_events_and_time_are_checked() {
    refused_task(
        "{ emit: { event: { with: { type: a } } } }",
        "/do/0/t/emit/event/with",
        "'source' is required",
    );
    refused_task(
        "{ emit: { event: { with: { type: a, source: here } } } }",
        "/do/0/t/emit/event/with/source",
        "not a URI",
    );
    refused_task("{ listen: { to: {} } }", "/do/0/t/listen/to", "exactly one of one, any, all");
    refused_task(
        "{ listen: { to: { one: { with: {} } } } }",
        "/do/0/t/listen/to/one/with",
        "at least one attribute",
    );
    refused_task("{ wait: { seconds: -1 } }", "/do/0/t/wait/seconds", "must not be negative");
    refused_task("{ wait: {} }", "/do/0/t/wait", "empty duration");
    refused_task("{ wait: { secs: 1 } }", "/do/0/t/wait/secs", "unknown property 'secs'");
    refused_task("{ run: { shell: {}, script: {} } }", "/do/0/t/run", "exactly one of");
    refused_task("{ set: { a: 1 }, timeout: soon }", "/do/0/t/timeout", "no timeout 'soon'");
    refused_task(
        "{ set: { a: 1 }, input: { schema: { document: { type: strin } } } }",
        "/do/0/t/input/schema/document",
        "not a valid JSON Schema",
    );
    refused_task("{ set: { a: 1 }, output: { as: 5 } }", "/do/0/t/output/as", "an expression or an object");
    refused_task("text", "/do/0/t", "must be an object, not a string");
}

#[test]
fn expressions_are_checked_before_anything_runs() {
    refused_task("{ set: '${ .a + }' }", "/do/0/t/set", "syntax error");
    refused_task("{ set: { a: '${ $eror }' } }", "/do/0/t/set/a", "undefined variable $eror");
    refused_task("{ set: { a: '${ lenght }' } }", "/do/0/t/set/a", "undefined function lenght/0");
    refused_task("{ set: { a: '${ now }' } }", "/do/0/t/set/a", "no clock");
    refused_task("{ set: { a: 'x ${ .a' } }", "/do/0/t/set/a", "without its '}'");
    refused_task("{ if: '.a ==', set: { a: 1 } }", "/do/0/t/if", "syntax error");
    refused_task(
        "{ listen: { to: { one: { with: { data: '${ $item }' } } } } }",
        "/do/0/t/listen/to/one/with/data",
        "undefined variable",
    );
    refused(
        &format!("{HEAD}schedule: {{ on: {{ one: {{ with: {{ type: '${{ $input.x }}' }} }} }} }}\ndo: []"),
        &[(2, "/schedule/on/one/with/type", "before a run has started")],
    );
}

#[test]
fn keys_with_slashes_keep_their_pointer_readable() {
    refused(&format!("{HEAD}do:\n  - a/b~c: {{ wait: x }}\n"), &[(3, "/do/0/a~1b~0c/wait", "ISO 8601")]);
}

#[test]
fn what_is_not_offered_is_said_but_not_refused() {
    let source = format!(
        "{HEAD}do:\n  - a: {{ run: {{ container: {{ image: x }} }} }}\n  - b: {{ call: a2a, with: {{ method: tasks/get }} }}\n"
    );

    let parsed = Definition::parse(&source).expect("valid");

    let warnings: Vec<_> =
        parsed.warnings.iter().map(|issue| (issue.line, issue.path.as_str(), issue.kind)).collect();
    assert_eq!(
        warnings,
        [(3, "/do/0/a/run", IssueKind::Unsupported), (4, "/do/1/b/call", IssueKind::Unsupported)]
    );
}

#[test]
fn the_same_definition_has_the_same_hash_in_any_notation() {
    let yaml = format!("{HEAD}do:\n  - a: {{ set: {{ x: 1, y: [2] }} }}\n");
    let json = r#"{"do":[{"a":{"set":{"y":[2],"x":1}}}],"document":{"version":"0.1.0","name":"bad","namespace":"test","dsl":"1.0.3"}}"#;

    let (left, right) =
        (Definition::parse(&yaml).unwrap().definition, Definition::parse(json).unwrap().definition);

    assert_eq!(left.hash(), right.hash());
    assert_eq!(left.hash().len(), 64);
    assert_eq!((left.namespace(), left.name(), left.version()), ("test", "bad", "0.1.0"));
    assert_eq!(left.document()["do"][0]["a"]["set"]["x"], 1);
}

#[test]
fn schedules_are_checked_before_anything_starts() {
    let schedule = |text: &str, path: &str, part: &str| {
        refused(&format!("{HEAD}schedule: {text}\ndo: []"), &[(2, path, part)]);
    };
    schedule("{}", "/schedule", "needs one of every, cron, after, on");
    schedule("{ cron: '* * *' }", "/schedule/cron", "five fields");
    schedule("{ cron: '0 0 31 2 *' }", "/schedule/cron", "no such day");
    schedule("{ cron: 'CRON_TZ=Mars/Base 0 0 1 2 *' }", "/schedule/cron", "no time zone 'Mars/Base'");
    schedule("{ every: PT0S }", "/schedule/every", "longer than nothing");
    schedule("{ after: '${ .x }' }", "/schedule/after", "nothing can be computed before a run");
    schedule("{ on: { all: [] } }", "/schedule/on", "at least one event");
    let many = "{ with: { type: a } }, ".repeat(101);
    schedule(&format!("{{ on: {{ all: [ {many} ] }} }}"), "/schedule/on", "at most 100 events");
    schedule("{ on: { any: [], until: $context.x } }", "/schedule/on/until", "before a run has started");
}

#[test]
fn controls_are_checked_to_the_last_member() {
    let controls = |text: &str, path: &str, part: &str| {
        let head = "document: { dsl: '1.0.3', namespace: test, name: bad, version: '0.1.0',";
        let path = format!("/document/metadata/openevent{path}");
        refused(&format!("{head}\n metadata: {{ openevent: {text} }} }}\ndo: []"), &[(2, &path, part)]);
    };
    controls("{ concurency: {} }", "/concurency", "did you mean 'concurrency'?");
    controls("{ concurrency: { key: .x } }", "/concurrency", "'limit' is required");
    controls("{ concurrency: { limit: 0 } }", "/concurrency/limit", "at least 1");
    controls(
        "{ concurrency: { limit: 1, strategy: drop } }",
        "/concurrency/strategy",
        "queue, reject, cancel-oldest",
    );
    controls("{ debounce: { period: soon } }", "/debounce/period", "ISO 8601");
    controls("{ throttle: { limit: 1 } }", "/throttle", "'period' is required");
    controls("{ idempotency: { period: P1D } }", "/idempotency", "'key' is required");
    controls("{ idempotency: { key: $context.x } }", "/idempotency/key", "before a run has started");
    controls("{ timezone: Mars/Base }", "/timezone", "no time zone");
    controls("{ cancelOn: [ { with: {} } ] }", "/cancelOn/0/with", "at least one attribute");
}
