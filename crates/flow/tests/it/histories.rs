//! Golden histories: what runs say to their driver, and what people see of them.

use crate::support::Play;
use openevent_flow::Input;
use serde_json::json;

#[test]
fn an_order_is_priced_and_announced() {
    let mut play = Play::start(
        r#"
input:
  from: .order
do:
  - price:
      call: http
      with:
        method: post
        endpoint: https://shop.example/prices/{sku}
        headers: { X-Order: "${ .id }", X-Run: "${ $workflow.id }" }
        query: { currency: EUR, tags: [a, b] }
        body: { sku: "${ .sku }", count: "${ .count }" }
      output: { as: "$input + { total: .price }" }
      export: { as: "{ total: .total }" }
  - announce:
      emit:
        event:
          with:
            source: https://shop.example
            type: order.priced
            subject: "order ${ .id }"
            data: { total: "${ $context.total }" }
      output: { as: "{ sent: .id }" }
output:
  as: { event: "${ .sent }", total: "${ $context.total }" }
"#,
        json!({"order": {"id": 7, "sku": "a b", "count": 2}}),
    );
    play.answer(200, json!({"price": 19.5}));
    play.sent();

    assert_eq!(play.output(), &json!({"event": "event-1", "total": 19.5}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_failing_call_is_retried_with_growing_pauses() {
    let mut play = Play::start(
        r"
do:
  - try it:
      try:
        - call it:
            call: http
            with: { method: get, endpoint: https://x.example/ }
      catch:
        errors: { with: { type: https://serverlessworkflow.io/dsl/errors/types/communication } }
        retry:
          delay: { seconds: 1 }
          backoff: { exponential: {} }
          jitter: { from: { milliseconds: 10 }, to: { milliseconds: 90 } }
          limit: { attempt: { count: 3 } }
        do:
          - give up: { set: { failed: '${ $error.status }' } }
",
        json!({}),
    );
    play.answer(503, json!("busy"));
    play.tick();
    play.refuse("connection refused");
    play.tick();
    play.answer(500, json!(null));
    play.tick();
    play.answer(502, json!(null));

    assert_eq!(play.output(), &json!({"failed": 502}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn an_error_nobody_catches_faults_the_run_where_it_arose() {
    let mut play = Play::start(
        r"
do:
  - outer:
      do:
        - look up:
            call: http
            with: { method: get, endpoint: 'https://x.example/{id}' }
",
        json!({"id": 1}),
    );
    play.answer(404, json!({"error": "none"}));

    assert_eq!(play.fault().status, 404);
    assert_eq!(play.fault().instance.as_deref(), Some("/do/0/outer/do/0/look up"));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn an_approval_is_waited_for_by_event() {
    let mut play = Play::start(
        r#"
do:
  - ask:
      emit: { event: { with: { source: https://x.example, type: approval.asked, data: { id: "${ .id }" } } } }
      output: { as: $input }
  - approval:
      listen:
        to:
          one: { with: { type: approval.given, data: { id: "${ . == $input.id }" } } }
      output: { as: ".[0].by" }
  - note: { set: { approvedBy: "${ . }" } }
"#,
        json!({"id": 5}),
    );
    play.sent();
    play.event("e1", "approval.given", json!({"id": 4, "by": "bo"}));
    play.event("e2", "approval.given", json!({"id": 5, "by": "al"}));

    assert_eq!(play.output(), &json!({"approvedBy": "al"}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_switch_chooses_and_a_then_skips() {
    let mut play = Play::new(
        r#"
do:
  - route:
      switch:
        - big: { when: .amount > 100, then: review }
        - small: { when: .amount <= 10, then: end }
        - other: { then: ship }
  - never: { set: { wrong: true } }
  - review: { set: { reviewed: "${ .amount }" }, then: exit }
  - ship: { set: { shipped: "${ .amount }" } }
"#,
    );
    play.apply(crate::support::started(json!({"amount": 50})));

    assert_eq!(play.output(), &json!({"shipped": 50}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_wait_parks_the_run_until_its_time() {
    let mut play = Play::start(
        "do: [ pause: { wait: PT1H30M }, inline: { wait: { minutes: 2 } }, computed: { wait: '${ .delay }' } ]",
        json!({"delay": "PT5S"}),
    );
    play.tick();
    play.tick();
    play.tick();

    assert_eq!(play.output(), &json!({"delay": "PT5S"}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_suspended_run_keeps_what_arrives_and_goes_on_later() {
    let mut play = Play::start(
        r"
do:
  - call it: { call: http, with: { method: get, endpoint: https://x.example/ } }
  - call again: { call: http, with: { method: get, endpoint: https://y.example/ } }
",
        json!({}),
    );
    play.apply(Input::Suspend);
    play.answer(200, json!({"n": 1}));
    play.apply(Input::Done { op: 1, value: json!({"status": 200}) });
    play.now += 5_000;
    play.apply(Input::Resume);
    play.answer(200, json!({"n": 2}));

    assert_eq!(play.output(), &json!({"n": 2}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_cancelled_run_abandons_what_it_waited_for() {
    let mut play = Play::start(
        r"
do:
  - together:
      fork:
        branches:
          - call it: { call: http, with: { method: get, endpoint: https://x.example/ } }
          - sleep: { wait: PT1H }
          - hear: { listen: { to: { any: [] } } }
",
        json!({}),
    );
    play.apply(Input::Cancel);

    insta::assert_snapshot!(play.golden());
}

#[test]
fn branches_run_together_and_join_in_their_order() {
    let mut play = Play::start(
        r"
do:
  - quotes:
      fork:
        branches:
          - first: { call: http, with: { method: get, endpoint: https://a.example/ } }
          - second:
              do:
                - nap: { wait: PT1S }
                - say: { set: { second: true } }
          - third: { set: { third: true } }
",
        json!({}),
    );
    play.tick();
    play.answer(200, json!({"first": true}));

    assert_eq!(play.output(), &json!([{"first": true}, {"second": true}, {"third": true}]));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn the_fastest_of_competing_branches_wins() {
    let mut play = Play::start(
        r"
do:
  - race:
      fork:
        compete: true
        branches:
          - slow: { wait: PT1H }
          - called: { call: http, with: { method: get, endpoint: https://a.example/ } }
",
        json!({}),
    );
    play.answer(200, json!("won"));

    assert_eq!(play.output(), &json!("won"));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_for_loop_passes_data_from_round_to_round() {
    let mut play = Play::start(
        r#"
do:
  - sum:
      for: { each: n, at: i, in: .numbers }
      while: .total < 100
      do:
        - add: { set: { total: "${ .total + $n * ($i + 1) }", numbers: "${ .numbers }" } }
        - check:
            if: $n == 2
            call: http
            with: { method: get, endpoint: "https://x.example/{total}" }
            output: { as: $input }
"#,
        json!({"numbers": [1, 2, 3], "total": 0}),
    );
    play.answer(204, json!(null));

    assert_eq!(play.output(), &json!({"numbers": [1, 2, 3], "total": 14}));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_task_that_takes_too_long_times_out_and_can_be_caught() {
    let mut play = Play::start(
        r#"
timeout: { after: PT1H }
do:
  - guard:
      try:
        - call it:
            call: http
            with: { method: get, endpoint: https://x.example/ }
            timeout: { after: { seconds: 2 } }
      catch:
        as: problem
        when: $problem.status == 408
        do: [ note: { set: "${ $problem }" } ]
"#,
        json!({}),
    );
    play.tick();

    assert_eq!(play.output()["type"], "https://serverlessworkflow.io/spec/1.0.0/errors/timeout");
    assert_eq!(play.output()["instance"], "/do/0/guard/try/0/call it");
    insta::assert_snapshot!(play.golden());
}

#[test]
fn events_are_handled_one_after_the_other_until_one_ends_it() {
    let mut play = Play::start(
        r#"
do:
  - collect:
      listen:
        to:
          any: [ { with: { type: reading } } ]
          until: { one: { with: { type: closed } } }
      foreach:
        item: reading
        at: i
        do:
          - store:
              call: http
              with: { method: post, endpoint: "https://x.example/{room}", body: { n: "${ $reading.n }", i: "${ $i }" } }
        output: { as: .id }
"#,
        json!({"room": "r1"}),
    );
    play.event("e1", "reading", json!({"n": 1}));
    play.event("e2", "reading", json!({"n": 2}));
    play.event("e2", "reading", json!({"n": 2}));
    play.answer(200, json!({"id": "a"}));
    play.event("e3", "closed", json!(null));
    play.event("e4", "reading", json!({"n": 4}));
    play.answer(200, json!({"id": "b"}));

    assert_eq!(play.output(), &json!(["a", "b"]));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn events_that_belong_together_are_correlated() {
    let mut play = Play::start(
        r"
do:
  - both:
      listen:
        to:
          all:
            - { with: { type: temperature }, correlate: { room: { from: .data.room } } }
            - { with: { type: humidity }, correlate: { room: { from: .data.room } } }
",
        json!({}),
    );
    play.event("e1", "humidity", json!({"room": 1, "h": 40}));
    play.event("e2", "temperature", json!({"room": 2, "t": 20}));
    play.event("e3", "temperature", json!({"room": 1, "t": 21}));

    assert_eq!(play.output(), &json!([{"room": 1, "h": 40}, {"room": 1, "t": 21}]));
    insta::assert_snapshot!(play.golden());
}

#[test]
fn a_reusable_function_runs_with_its_arguments() {
    let mut play = Play::start(
        r#"
use:
  functions:
    fetch:
      input:
        schema: { document: { type: object, required: [id] } }
      call: http
      with: { method: get, endpoint: "https://x.example/{id}" }
do:
  - get pet: { call: fetch, with: { id: "${ .pet }" } }
"#,
        json!({"pet": 69}),
    );
    play.answer(200, json!({"name": "milou"}));

    assert_eq!(play.output(), &json!({"name": "milou"}));
    insta::assert_snapshot!(play.golden());
}
