//! The language, rule by rule.

use crate::support::{Play, parse, started};
use openevent_flow::{Definition, EventFilter, Input, Match, Run, Status};
use serde_json::{Value, json};

/// The output of a run that needs nobody.
fn output(tasks: &str, input: Value) -> Value {
    Play::start(tasks, input).output().clone()
}

fn fault(tasks: &str, input: Value) -> (String, u16, String) {
    let play = Play::start(tasks, input);
    let fault = play.fault();
    let kind = fault.r#type.rsplit('/').next().unwrap_or_default().to_owned();
    (kind, fault.status, fault.instance.clone().unwrap_or_default())
}

#[test]
fn data_flows_through_all_eleven_steps() {
    let tasks = r#"
input:
  schema: { document: { type: object, required: [order] } }
  from: .order
do:
  - one:
      input: { from: "{ n: .n, raw: $task.input.n }" }
      set: { n: "${ .n + 1 }", seen: "${ $input }", context: "${ $context }" }
      output: { as: "{ n: .n, was: $task.output.seen, context: .context }" }
      export: { as: "{ exported: $output.n, before: $context }" }
  - two:
      set: { n: "${ .n }", was: "${ .was }", first: "${ .context }", now: "${ $context }", name: "${ $task.name }", at: "${ $task.reference }" }
output:
  as: ". + { original: $workflow.input.order.n, runtime: $runtime.name, id: $workflow.id, from: $workflow.definition.document.name }"
"#;

    assert_eq!(
        output(tasks, json!({"order": {"n": 1}})),
        json!({
            "n": 2, "was": {"n": 1, "raw": 1}, "first": {"n": 1},
            "now": {"exported": 2, "before": {"n": 1}}, "name": "two", "at": "/do/1/two",
            "original": 1, "runtime": "openevent", "id": "run-1", "from": "golden",
        })
    );
}

#[test]
fn schemas_fault_with_the_validation_error_where_they_stand() {
    let schema = "{ schema: { document: { type: object, required: [x] } } }";
    let validation = |instance: &str| ("validation".to_owned(), 400, instance.to_owned());

    assert_eq!(fault(&format!("input: {schema}\ndo: []"), json!({})), validation("/input"));
    assert_eq!(fault(&format!("do: []\noutput: {schema}"), json!({})), validation("/output"));
    for place in ["input", "output", "export"] {
        let tasks = format!("do: [ a: {{ set: {{ y: 1 }}, {place}: {schema} }} ]");
        assert_eq!(fault(&tasks, json!({})), validation("/do/0/a"), "{place}");
    }
}

#[test]
fn expressions_that_fail_fault_with_the_expression_error() {
    let expression = ("expression".to_owned(), 400, "/do/0/a".to_owned());

    assert_eq!(fault("do: [ a: { set: '${ .x.y }' } ]", json!({"x": 1})), expression);
    assert_eq!(fault("do: [ a: { set: '${ def f: f; f }' } ]", json!({})), expression);
    assert_eq!(fault("do: [ a: { if: '.x.y', set: { b: 1 } } ]", json!({"x": 1})), expression);
    assert_eq!(fault("do: [ a: { wait: '${ 5 }' } ]", json!({})), expression);
    assert_eq!(fault("do: [ a: { for: { in: .x }, do: [] } ]", json!({"x": 1})), expression);
}

#[test]
fn tasks_that_are_not_offered_fault_only_when_reached() {
    let tasks = "do: [ a: { if: .go, run: { container: { image: x } } }, b: { set: { done: true } } ]";

    assert_eq!(output(tasks, json!({"go": false})), json!({"done": true}));
    assert_eq!(fault(tasks, json!({"go": true})), ("configuration".to_owned(), 400, "/do/0/a".to_owned()));
}

#[test]
fn a_task_whose_condition_is_false_is_skipped_with_its_then() {
    let tasks = "do: [ a: { if: .age < 18, raise: { error: { type: 'https://x/e', status: 400 } }, then: end }, b: { set: { ok: true } } ]";

    assert_eq!(output(tasks, json!({"age": 20})), json!({"ok": true}));
    assert_eq!(fault(tasks, json!({"age": 10})), ("e".to_owned(), 400, "/do/0/a".to_owned()));
}

#[test]
fn flow_directives_lead_where_they_say() {
    let tasks = r"
do:
  - a: { set: { a: 1 }, then: c }
  - b: { set: { b: 1 }, then: end }
  - c:
      do:
        - inner: { set: { c: 1 }, then: exit }
        - never: { set: { wrong: 1 } }
      then: b
  - d: { set: { wrong: 2 } }
";
    assert_eq!(output(tasks, json!({})), json!({"b": 1}));
    assert_eq!(
        output("do: [ a: { do: [ b: { set: { b: 1 }, then: end } ] }, c: { set: { c: 1 } } ]", json!({})),
        json!({"b": 1})
    );
    assert_eq!(
        output("do: [ a: { set: { a: 1 }, then: exit }, c: { set: { c: 1 } } ]", json!({})),
        json!({"a": 1})
    );
}

#[test]
fn going_round_in_circles_faults_the_run_only() {
    let circle = "do: [ a: { set: { a: 1 } }, b: { set: { b: 1 }, then: a } ]";
    let caught = "do: [ t: { try: [ a: { set: { a: 1 }, then: a } ], catch: { retry: { limit: { attempt: { count: 5 } } } } } ]";
    let instant = "do: [ t: { try: [ a: { raise: { error: { type: 'https://x/e', status: 500 } } } ], catch: { retry: {} } } ]";
    let function = "use: { functions: { f: { call: f } } }\ndo: [ a: { call: f } ]";
    for tasks in [circle, caught, instant, function] {
        assert_eq!(
            Play::start(tasks, json!({})).fault().r#type,
            "https://serverlessworkflow.io/spec/1.0.0/errors/runtime"
        );
    }
}

#[test]
fn text_may_hold_expressions_and_loose_mode_tries_all_of_it() {
    assert_eq!(
        output(
            "do: [ a: { set: { text: 'Hello ${ .name }, ${ .n }!', plain: .name } } ]",
            json!({"name": "Al", "n": 2})
        ),
        json!({"text": "Hello Al, 2!", "plain": ".name"})
    );
    assert_eq!(
        output(
            "evaluate: { mode: loose }\ndo: [ a: { set: { name: .name, text: 'not jq at all', fails: '.name.x' } } ]",
            json!({"name": "Al"})
        ),
        json!({"name": "Al", "text": "not jq at all", "fails": ".name.x"})
    );
}

#[test]
fn only_errors_that_fit_are_caught() {
    let raise = "raise: { error: { type: 'https://x/e', status: 503, title: Busy, detail: 'n ${ .n }' } }";
    let play = |catch: &str| {
        Play::start(&format!("do: [ t: {{ try: [ a: {{ {raise} }} ], catch: {catch} }} ]"), json!({"n": 1}))
    };
    let caught = |catch: &str| play(catch).status() == Status::Completed;

    assert!(caught("{}"));
    assert!(caught("{ errors: { with: { status: 503 } } }"));
    assert!(caught(
        "{ errors: { with: { type: 'https://x/e', title: Busy, detail: 'n 1', instance: /do/0/t/try/0/a } } }"
    ));
    assert!(caught("{ errors: { with: { status: '${ 500 + 3 }' } } }"));
    assert!(caught("{ as: e, when: '$e.status == 503' }"));
    assert!(!caught("{ errors: { with: { status: 500 } } }"));
    assert!(!caught("{ errors: { with: { status: 503, title: Other } } }"));
    assert!(!caught("{ when: '$error.status == 500' }"));
    assert!(!caught("{ exceptWhen: '$error.status == 503' }"));
    assert_eq!(play("{}").output(), &json!({"n": 1}));
}

#[test]
fn errors_in_a_handler_climb_on() {
    let tasks = r"
use: { errors: { inner: { type: 'https://x/inner', status: 500 }, outer: { type: 'https://x/outer', status: 409 } } }
do:
  - t:
      try:
        - u:
            try: [ a: { raise: { error: inner } } ]
            catch: { do: [ b: { raise: { error: outer } } ] }
      catch: { do: [ c: { set: { kind: '${ $error.type }', at: '${ $error.instance }' } } ] }
";
    assert_eq!(
        output(tasks, json!({})),
        json!({"kind": "https://x/outer", "at": "/do/0/t/try/0/u/catch/do/0/b"})
    );
}

#[test]
fn retries_follow_their_policy() {
    let pauses = |policy: &str| {
        let tasks = format!(
            "use: {{ retries: {{ p: {policy} }} }}\ndo: [ t: {{ try: [ a: {{ call: http, with: {{ method: get, endpoint: 'https://x/' }} }} ], catch: {{ retry: p }} }} ]"
        );
        let mut play = Play::start(&tasks, json!({}));
        let mut pauses = Vec::new();
        while play.calls() > 0 && pauses.len() < 6 {
            play.answer(503, json!(null));
            if play.outcome.is_none() {
                let before = play.now;
                play.tick();
                pauses.push(play.now - before);
            }
        }
        (pauses, play.outcome.is_some())
    };

    assert_eq!(pauses("{ delay: PT1S, limit: { attempt: { count: 2 } } }"), (vec![1000, 1000], true));
    assert_eq!(
        pauses("{ delay: PT1S, backoff: { constant: {} }, limit: { attempt: { count: 1 } } }"),
        (vec![1000], true)
    );
    assert_eq!(
        pauses("{ delay: PT1S, backoff: { linear: {} }, limit: { attempt: { count: 3 } } }"),
        (vec![1000, 2000, 3000], true)
    );
    assert_eq!(
        pauses("{ delay: PT1S, backoff: { exponential: {} }, limit: { duration: PT8S } }"),
        (vec![1000, 2000, 4000], true)
    );
    assert_eq!(pauses("{ delay: PT1S, when: '$error.status == 500' }"), (vec![], true));
    assert_eq!(pauses("{ delay: PT1S }").0.len(), 6);
}

#[test]
fn an_attempt_may_take_only_so_long() {
    let tasks = "do: [ t: { try: [ a: { call: http, with: { method: get, endpoint: 'https://x/' } } ], catch: { retry: { delay: PT1S, limit: { attempt: { count: 1, duration: PT3S } } } } } ]";
    let mut play = Play::start(tasks, json!({}));
    play.answer(503, json!(null));
    play.tick();
    assert_eq!(play.calls(), 1);
    play.tick();

    assert_eq!((play.fault().status, play.calls()), (408, 0));
}

#[test]
fn http_answers_are_read_as_asked() {
    let answered = |options: &str, status: u16| {
        let tasks = format!(
            "do: [ a: {{ call: http, with: {{ method: get, endpoint: 'https://x/', headers: {{ A: b }}, {options} }} }} ]"
        );
        let mut play = Play::start(&tasks, json!({}));
        play.answer(status, json!({"n": 1}));
        play
    };

    assert_eq!(answered("output: content", 200).output(), &json!({"n": 1}));
    assert_eq!(answered("output: raw", 200).output(), &json!("eyJuIjoxfQ=="));
    assert_eq!(
        answered("output: response", 201).output(),
        &json!({"request": {"method": "get", "uri": "https://x/", "headers": {"A": "b"}}, "statusCode": 201,
            "headers": {"content-type": "application/json"}, "content": {"n": 1}})
    );
    assert_eq!(answered("redirect: true", 302).output(), &json!({"n": 1}));
    assert_eq!(answered("redirect: false", 302).fault().status, 302);
    assert_eq!(answered("redirect: true", 404).fault().status, 404);
    assert_eq!(
        answered("output: content", 500).fault().r#type,
        "https://serverlessworkflow.io/spec/1.0.0/errors/communication"
    );
}

#[test]
fn addresses_are_evaluated() {
    let story = |endpoint: &str| {
        let tasks = format!("do: [ a: {{ call: http, with: {{ method: get, endpoint: {endpoint} }} }} ]");
        Play::start(&tasks, json!({"id": 5, "host": "x.example", "list": [1]})).story
    };

    assert!(story("'https://x/{id}/{gone}.'").contains("GET https://x/5/."));
    assert!(story(r#""${ \"https://\\(.host)/\" + (.id | tostring) }""#).contains("GET https://x.example/5"));
    assert!(story("{ uri: 'https://x/${ .id }' }").contains("GET https://x/5"));
    assert!(story("'https://x/{list}'").contains("errors/expression"));
    assert!(story("'file:///etc/passwd'").contains("errors/configuration"));
    assert!(story("'${ .id }'").contains("errors/expression"));
}

#[test]
fn events_start_runs_by_the_filters_of_the_trigger() {
    let def = parse(
        r#"
schedule:
  on:
    any:
      - with: { type: order.created, data: { total: "${ . > 10 }" } }
      - with: { type: "order\\.(paid|refunded)", source: https://shop.example }
        correlate: { id: { from: .data.id } }
do: []
"#,
    );
    let filters: Vec<_> = def.trigger().map(|trigger| trigger.filters().to_vec()).unwrap_or_default();
    let matches = |event: &Value| {
        filters.iter().any(|filter: &std::sync::Arc<EventFilter>| filter.matches(event) == Match::Yes)
    };

    assert_eq!(
        filters.iter().map(|filter| filter.event_type()).collect::<Vec<_>>(),
        [Some("order.created"), None]
    );
    assert!(matches(&json!({"type": "order.created", "data": {"total": 11}})));
    assert!(!matches(&json!({"type": "order.created", "data": {"total": 9}})));
    assert!(!matches(&json!({"type": "order.created"})));
    assert!(matches(&json!({"type": "order.paid", "source": "https://shop.example", "data": {"id": 1}})));
    assert!(!matches(&json!({"type": "order.paid", "source": "https://shop.example", "data": {}})));
    assert!(!matches(&json!({"type": "order.paidx", "source": "https://shop.example", "data": {"id": 1}})));
    assert!(!matches(&json!("nonsense")));
    let why = filters[0].matches(&json!({"type": "order.created", "data": {"total": 9}}));
    assert_eq!(why, Match::No("data .total does not meet the condition".to_owned()));
}

#[test]
fn people_describe_the_payload_or_the_array_of_events() {
    let event =
        |data: Value| json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": data});
    let of = |schema: &str| {
        parse(&format!(
            "schedule: {{ on: {{ one: {{ with: {{ type: t }} }} }} }}\ninput: {{ schema: {{ document: {schema} }} }}\ndo: []"
        ))
    };
    let payload = of("{ type: object, required: [id], properties: { id: { type: integer } } }");
    let array = of("{ type: array, minItems: 1, items: { type: object, required: [data] } }");

    assert!(payload.check_events(&[event(json!({"id": 1}))]).is_ok());
    let errors = payload.check_events(&[event(json!({}))]).expect_err("no id");
    assert_eq!((errors[0].path.as_str(), errors[0].issue.as_str()), ("/id", "field is required"));
    assert!(array.check_events(&[event(json!({}))]).is_ok());
    assert!(array.check_events(&[json!({})]).is_err());

    let start = |def: &Definition, input: Value, by_events| {
        let mut run = Run::new();
        run.apply(def, 0, Input::Started { input, run_id: "r".to_owned(), by_events });
        run.status()
    };
    assert_eq!(start(&payload, json!([event(json!({"id": 1}))]), true), Status::Completed);
    assert_eq!(start(&payload, json!([event(json!({}))]), true), Status::Faulted);
    assert_eq!(start(&payload, json!({"id": 1}), false), Status::Completed);
}

#[test]
fn the_events_that_started_a_run_are_consumed() {
    let mut play =
        Play::new("do: [ hear: { listen: { to: { any: [] }, read: envelope }, output: { as: '.[0].id' } } ]");
    let event =
        |id: &str| json!({"specversion": "1.0", "id": id, "source": "https://test", "type": "t", "data": {}});
    play.apply(Input::Started { input: json!([event("e1")]), run_id: "r".to_owned(), by_events: true });

    assert!(!play.apply(Input::Signal { event: event("e1") }));
    assert!(play.apply(Input::Signal { event: event("e2") }));
    assert_eq!(play.output(), &json!("e2"));
}

#[test]
fn listening_ends_by_condition_over_what_was_heard() {
    let mut play =
        Play::start("do: [ hear: { listen: { to: { any: [], until: '( . | length ) > 2' } } } ]", json!({}));
    for n in 1..=3 {
        assert_eq!(play.status(), Status::Waiting);
        play.event(&format!("e{n}"), "any", json!(n));
    }

    assert_eq!(play.output(), &json!([1, 2, 3]));
}

#[test]
fn filters_see_the_run_as_it_was_when_it_began_to_listen() {
    let tasks = r#"
do:
  - hear:
      listen:
        to:
          one:
            with: { type: done, subject: "${ $workflow.id }" }
            correlate: { id: { from: .data.id, expect: "${ $input.id }" } }
"#;
    let mut play = Play::start(tasks, json!({"id": 3}));
    let event = |subject: &str, id: u8| json!({"id": format!("{subject}{id}"), "source": "s", "type": "done", "subject": subject, "data": {"id": id}});

    assert!(!play.apply(Input::Signal { event: event("run-2", 3) }));
    assert!(!play.apply(Input::Signal { event: event("run-1", 4) }));
    let restored: Run = serde_json::from_str(&serde_json::to_string(&play.run).unwrap()).unwrap();
    assert_eq!(restored.outstanding(&play.def), play.run.outstanding(&play.def));
    assert!(play.apply(Input::Signal { event: event("run-1", 3) }));
    assert_eq!(play.output(), &json!([{"id": 3}]));
}

#[test]
fn inputs_before_the_start_and_after_the_end_change_nothing() {
    let def = parse("do: []");
    let mut run = Run::new();
    for input in [Input::Resume, Input::Suspend, Input::Fired { op: 1 }, Input::Signal { event: json!({}) }] {
        assert!(!run.apply(&def, 0, input).accepted);
    }
    assert_eq!((run.status(), &run), (Status::Pending, &Run::new()));
    assert!(run.apply(&def, 0, started(json!({}))).accepted);
    assert!(run.is_finished());
    for input in [Input::Cancel, started(json!({})), Input::Suspend, Input::Resume] {
        assert!(!run.apply(&def, 0, input).accepted);
    }
}

#[test]
fn a_workflow_has_a_time_limit_of_its_own() {
    let mut play = Play::start(
        "timeout: { after: PT1S }\ndo: [ t: { try: [ a: { wait: PT1H } ], catch: {} } ]",
        json!({}),
    );
    play.tick();

    assert_eq!(play.fault().status, 408);
}

#[test]
fn deep_answers_fault_the_task_and_not_the_process() {
    let mut play =
        Play::start("do: [ a: { call: http, with: { method: get, endpoint: 'https://x/' } } ]", json!({}));
    let deep = (0..120).fold(json!(1), |inner, _| json!([inner]));
    play.answer(200, deep);

    assert_eq!(play.fault().r#type, "https://serverlessworkflow.io/spec/1.0.0/errors/runtime");
}
