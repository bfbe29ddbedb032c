//! Extensions run around the tasks they are for.

use openevent_flow::Outcome;
use serde_json::{Value, json};

use crate::support::Play;

const LOGGING: &str = r#"
use:
  extensions:
    - logging:
        extend: all
        before:
          - sendLog:
              call: http
              with:
                method: post
                endpoint: https://fake.log.collector.com
                body: { message: "${ \"Executing task '\\($task.reference)'...\" }" }
        after:
          - sendLog:
              call: http
              with:
                method: post
                endpoint: https://fake.log.collector.com
                body: { message: "${ \"Executed task '\\($task.reference)' with \\($task.output)\" }" }
"#;

const MOCK: &str = r#"
use:
  extensions:
    - mockService:
        extend: call
        when: ($task.with.endpoint != null and ($task.with.endpoint | startswith("https://mocked.service.com"))) or ($task.with.endpoint.uri != null and ($task.with.endpoint.uri | startswith("https://mocked.service.com")))
        before:
          - mockResponse:
              set: { statusCode: 200, content: { foo: { bar: baz } } }
              then: exit
        after:
          - never: { raise: { error: { type: 'https://x/never', status: 500 } } }
"#;

fn set_around(extensions: &str, tasks: &str) -> Value {
    let play = Play::start(&format!("use: {{ extensions: [ {extensions} ] }}\n{tasks}"), json!({"n": 1}));
    play.output().clone()
}

#[test]
fn every_task_is_logged_before_and_after_and_the_data_flow_on() {
    let mut play = Play::start(
        &format!(
            "{LOGGING}do:\n  - a: {{ set: {{ x: '${{ .n }}' }} }}\n  - b: {{ set: {{ y: '${{ .x + 1 }}' }} }}\n"
        ),
        json!({"n": 1}),
    );

    for _ in 0..4 {
        play.answer(200, json!("logged"));
    }

    assert_eq!(play.output(), &json!({"y": 2}));
    for line in [
        "Executing task '/do/0/a'...",
        r#"Executed task '/do/0/a' with {\"x\":1}"#,
        "Executing task '/do/1/b'...",
        r#"Executed task '/do/1/b' with {\"y\":2}"#,
    ] {
        assert!(play.story.contains(line), "{line} is not in\n{}", play.story);
    }
    play.golden();
}

#[test]
fn a_task_that_is_skipped_is_not_extended() {
    let play =
        Play::start(&format!("{LOGGING}do:\n  - a: {{ if: .no, set: {{ x: 1 }} }}\n"), json!({"no": false}));

    assert_eq!(play.output(), &json!({"no": false}));
}

#[test]
fn a_mocked_service_is_not_called() {
    let task = |endpoint: &str| {
        let tasks = format!(
            "{MOCK}do:\n  - a: {{ call: http, with: {{ method: get, endpoint: '{endpoint}' }}, output: {{ as: .content }} }}\n"
        );
        Play::start(&tasks, json!({}))
    };

    let mocked = task("https://mocked.service.com/x");
    let real = task("https://fake.com/sample");

    assert_eq!(mocked.outcome, Some(Outcome::Completed(json!({"foo": {"bar": "baz"}}))));
    assert_eq!((real.outcome.is_some(), real.calls()), (false, 1));
}

#[test]
fn the_first_extension_is_the_outermost() {
    let extension = |name: &str| {
        format!(
            "{{ {name}: {{ extend: set, before: [ b: {{ do: [], export: {{ as: '${{ {{log: ($context.log + \"{name}(\")}} }}' }} }} ], after: [ a: {{ do: [], export: {{ as: '${{ {{log: ($context.log + \"){name}\")}} }}' }} }} ] }} }}"
        )
    };
    let tasks = "do: [ t: { set: { ok: true } } ]\noutput: { as: $context.log }";

    assert_eq!(set_around(&format!("{}, {}", extension("x"), extension("y")), tasks), json!("x(y()y)x"));
}

#[test]
fn extensions_are_for_their_kind_and_their_condition_only() {
    let failing = "{ e: { extend: KIND, when: WHEN, before: [ f: { raise: { error: { type: 'https://x/e', status: 500 } } } ] } }";
    let tasks = "do: [ t: { set: { ok: true } } ]";
    let ran = |kind: &str, when: &str| {
        let extension = failing.replace("KIND", kind).replace("WHEN", when);
        let play = Play::start(&format!("use: {{ extensions: [ {extension} ] }}\n{tasks}"), json!({}));
        matches!(play.outcome, Some(Outcome::Faulted(_)))
    };

    assert!(ran("set", "'true'") && ran("all", "'true'"));
    assert!(!ran("call", "'true'") && !ran("composite", "'true'"));
    assert!(ran("set", "$task.set.ok") && ran("set", "'$task.definition.set.ok'"));
    assert!(!ran("set", "'$task.name != \"t\"'") && !ran("set", "'.x.y | error'"));
}

#[test]
fn extensions_do_not_extend_themselves_nor_functions_they_call() {
    let extension = "{ e: { extend: all, before: [ c: { call: log } ] } }";
    let tasks = format!(
        "use: {{ functions: {{ log: {{ set: {{ x: 1 }} }} }}, extensions: [ {extension} ] }}\ndo: [ t: {{ set: {{ ok: true }} }} ]"
    );

    assert_eq!(Play::start(&tasks, json!({})).output(), &json!({"ok": true}));
}

#[test]
fn loops_forks_and_retries_hold_with_extensions_around_them() {
    let around =
        "{ e: { extend: all, before: [ b: { set: { lost: 1 } } ], after: [ a: { set: { lost: 2 } } ] } }";

    assert_eq!(
        set_around(
            around,
            "do: [ f: { for: { each: i, in: '[1, 2, 3]' }, do: [ s: { set: { n: '${ .n + $i }' } } ] } ]"
        ),
        json!({"n": 7})
    );
    assert_eq!(
        set_around(
            around,
            "do: [ f: { fork: { branches: [ a: { set: { a: 1 } }, b: { set: { b: 2 } } ] } } ]"
        ),
        json!([{"a": 1}, {"b": 2}])
    );
    assert_eq!(
        set_around(
            around,
            "do: [ t: { try: [ r: { raise: { error: { type: 'https://x/e', status: 500 } } } ], catch: { do: [ s: { set: { c: 1 } } ] } } ]"
        ),
        json!({"c": 1})
    );
    assert_eq!(
        set_around(
            around,
            "do: [ s: { switch: [ x: { then: l } ] }, k: { set: { k: 1 } }, l: { set: { l: 1 } } ]"
        ),
        json!({"l": 1})
    );
}

#[test]
fn an_error_before_the_task_is_the_tasks() {
    let tasks = "
use: { extensions: [ { e: { extend: set, before: [ f: { raise: { error: { type: 'https://x/e', status: 418 } } } ] } } ] }
do: [ t: { try: [ s: { set: { ok: true } } ], catch: { as: e, do: [ h: { call: http, with: { method: get, endpoint: 'https://x', body: '${ $e }' } } ] } } ]
";
    let mut play = Play::start(tasks, json!({}));
    play.answer(200, json!("handled"));

    assert_eq!(play.output(), &json!("handled"));
    assert!(play.story.contains("/use/extensions/0/e/before/0/f"), "{}", play.story);
    play.golden();
}
