//! Retrying a faulted run: what failed begins again, everything else goes on.

use openevent_flow::{Command, Fault, FaultKind, Input, Run, Status, TaskEntry, history};
use serde_json::{Value, json};

use crate::support::{Play, parse, started};

const CALL: &str = "call: http, with: { method: post, endpoint: 'https://x.example/', body: '${ . }' }";

/// The story after the retry.
fn retried(play: &mut Play) -> String {
    let before = play.story.len();
    play.outcome = None;
    assert!(play.apply(Input::Retry));
    play.story[before..].to_owned()
}

fn tasks(play: &Play) -> Vec<TaskEntry> {
    history(&play.def, play.journal.clone()).1
}

#[test]
fn a_call_that_failed_is_made_again_and_the_run_goes_on_from_there() {
    let mut play = Play::start(
        &format!("do: [ a: {{ set: {{ n: 1 }} }}, b: {{ {CALL} }}, c: {{ set: '${{ {{ was: . }} }}' }} ]"),
        json!({}),
    );
    play.answer(503, json!(null));
    assert_eq!((play.status(), play.run.can_be_retried()), (Status::Faulted, true));
    assert!(play.run.outstanding(&play.def).is_empty());

    play.now += 60_000;
    let story = retried(&mut play);
    assert!(story.contains("call 2: POST https://x.example/ [] {\"n\":1}"), "{story}");
    assert_eq!(play.status(), Status::Running);
    play.answer(200, json!("ok"));

    assert_eq!(play.output(), &json!({"was": "ok"}));
    let attempts: Vec<_> = tasks(&play).iter().map(|task| (task.attempts, task.status)).collect();
    assert_eq!(attempts, [(1, Status::Completed), (2, Status::Completed), (1, Status::Completed)]);
}

#[test]
fn loops_functions_and_handlers_around_what_failed_hold() {
    let around = [
        format!(
            "do: [ l: {{ for: {{ in: '[1, 2, 3]' }}, do: [ a: {{ {CALL}, output: {{ as: '$input + [$item]' }} }} ] }} ]"
        ),
        format!(
            "use: {{ functions: {{ f: {{ {CALL}, output: {{ as: '[1, 2, 3]' }} }} }} }}\ndo: [ a: {{ call: f }} ]"
        ),
        format!(
            "do: [ t: {{ try: [ r: {{ raise: {{ error: {{ type: 'https://x/e', status: 400 }} }} }} ], catch: {{ do: [ a: {{ {CALL}, output: {{ as: '[1, 2, $error.status - 397]' }} }} ] }} }} ]"
        ),
        format!(
            "do: [ t: {{ try: [ a: {{ {CALL}, output: {{ as: '[1, 2, 3]' }} }} ], catch: {{ errors: {{ with: {{ status: 999 }} }}, retry: {{ delay: PT1S }} }} }} ]"
        ),
        format!(
            "do: [ d: {{ do: [ a: {{ {CALL}, output: {{ as: '[1, 2]' }} }}, b: {{ set: '${{ . + [3] }}' }} ] }} ]"
        ),
    ];
    for tasks in around {
        let mut play = Play::start(&tasks, json!([]));
        while play.outcome.is_none() {
            play.answer(500, json!(null));
            retried(&mut play);
            play.answer(200, json!({}));
        }
        assert_eq!(play.output(), &json!([1, 2, 3]), "{tasks}");
    }
}

#[test]
fn branches_that_were_cut_off_go_on_as_if_nothing_had_been() {
    let mut play = Play::start(
        &format!(
            "do: [ f: {{ fork: {{ branches: [ a: {{ {CALL} }}, b: {{ {CALL} }}, c: {{ wait: PT1H }}, d: {{ listen: {{ to: {{ all: [ {{ with: {{ type: x }} }}, {{ with: {{ type: y }} }} ] }} }} }}, e: {{ do: [ e1: {{ set: {{ e: 1 }} }}, e2: {{ wait: PT2H }} ] }} ] }} }} ]"
        ),
        json!({"in": 1}),
    );
    play.event("1", "x", json!("first"));
    play.answer(500, json!(null));
    let statuses: Vec<_> = tasks(&play).iter().map(|task| (task.name.clone(), task.status)).collect();
    assert!(statuses.contains(&("a".to_owned(), Status::Faulted)));
    assert!(statuses.contains(&("b".to_owned(), Status::Cancelled)));

    play.now += 1_800_000;
    let story = retried(&mut play);
    assert!(story.contains("call 2:"), "the other call keeps its number: {story}");
    assert!(story.contains("timer 3: +3600000"), "the pause ends when it would have: {story}");
    assert!(story.contains("listen 4: x, y since +0"), "{story}");
    play.answer(200, json!("b"));
    play.answer(200, json!("a"));
    play.tick();
    play.event("2", "y", json!("second"));
    play.tick();

    let expected = json!(["a", "b", {"in": 1}, ["first", "second"], {"e": 1}]);
    assert_eq!(play.output(), &expected);
    assert!(tasks(&play).iter().all(|task| task.status == Status::Completed));
}

#[test]
fn events_wait_while_the_handling_of_one_is_retried() {
    let mut play = Play::start(
        &format!(
            "do: [ l: {{ listen: {{ to: {{ any: [ {{ with: {{ type: x }} }} ], until: '. | length == 2' }} }}, foreach: {{ do: [ h: {{ {CALL}, output: {{ as: $item }} }} ] }} }} ]"
        ),
        json!({}),
    );
    play.event("1", "x", json!(1));
    play.answer(500, json!(null));
    retried(&mut play);
    play.event("2", "x", json!(2));
    play.answer(200, json!(null));
    play.answer(200, json!(null));

    assert_eq!(play.output(), &json!([1, 2]));
}

#[test]
fn time_limits_begin_anew() {
    let mut play = Play::start("timeout: { after: PT10S }\ndo: [ a: { wait: PT1H } ]", json!({}));
    play.tick();
    assert_eq!((play.fault().status, play.now), (408, crate::support::START + 10_000));
    play.now += 3_600_000;
    let story = retried(&mut play);
    assert!(story.contains("timer 2: +3600000") && story.contains("timer 3: +3620000"), "{story}");
    play.tick();
    assert_eq!(play.output(), &json!({}));

    let mut play = Play::start(
        &format!("do: [ d: {{ timeout: {{ after: PT10S }}, do: [ a: {{ {CALL} }} ] }} ]"),
        json!({}),
    );
    play.now += 9_000;
    play.answer(500, json!(null));
    let story = retried(&mut play);
    assert!(story.contains("timer 1: +19000"), "{story}");
}

#[test]
fn a_run_that_could_not_begin_begins() {
    let mut play = Play::start(
        "input: { schema: { document: { type: array } } }\ndo: [ a: { set: { x: 1 } } ]",
        json!({}),
    );
    retried(&mut play);
    assert_eq!(play.fault().instance.as_deref(), Some("/input"));
    assert!(play.run.can_be_retried());
}

#[test]
fn a_run_that_goes_in_circles_only_reaches_the_limit_again() {
    for tasks in [
        "do: [ a: { set: { a: 1 } }, b: { set: { b: 1 }, then: a } ]",
        "do: [ t: { try: [ a: { raise: { error: { type: 'https://x/e', status: 500 } } } ], catch: { retry: {} } } ]",
        "do: [ a: { set: { a: 1 } } ]\noutput: { as: '.a.b' }",
    ] {
        let mut play = Play::start(tasks, json!({}));
        let before = play.fault().clone();
        retried(&mut play);
        assert_eq!(play.fault(), &before, "{tasks}");
    }
}

#[test]
fn only_a_faulted_run_is_retried() {
    let def = parse(&format!("do: [ a: {{ {CALL} }} ]"));
    let mut run = Run::new();
    assert!(!run.apply(&def, 0, Input::Retry).accepted);
    run.apply(&def, 0, started(json!({})));
    assert!(!run.apply(&def, 0, Input::Retry).accepted);
    let mut cancelled = run.clone();
    cancelled.apply(&def, 0, Input::Cancel);
    assert!(!cancelled.apply(&def, 0, Input::Retry).accepted);
    run.apply(&def, 0, Input::Done { op: 1, value: json!({"status": 200}) });
    assert_eq!(run.status(), Status::Completed);
    assert!(!run.apply(&def, 0, Input::Retry).accepted);
}

#[test]
fn a_faulted_run_is_retried_from_its_snapshot() {
    let def = parse(&format!("do: [ a: {{ set: {{ n: 7 }} }}, b: {{ {CALL} }} ]"));
    let mut run = Run::new();
    run.apply(&def, 0, started(json!({})));
    let error = Fault::new(FaultKind::Communication, "refused");
    run.apply(&def, 5, Input::Failed { op: 1, error });
    let mut restored: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    assert_eq!(restored, run);

    let step = restored.apply(&def, 10, Input::Retry);

    let [Command::Call { op: 2, call: openevent_flow::Call::Http(call) }] = step.commands.as_slice() else {
        panic!("{step:?}")
    };
    assert_eq!(call.body, Some(json!({"n": 7})));
}

#[test]
fn what_a_suspended_run_kept_is_not_lost_to_a_fault() {
    let mut play = Play::start(
        &format!(
            "do: [ f: {{ fork: {{ branches: [ a: {{ {CALL} }}, b: {{ listen: {{ to: {{ one: {{ with: {{ type: x }} }} }} }} }} ] }} }} ]"
        ),
        json!({}),
    );
    play.apply(Input::Suspend);
    play.answer(500, json!(null));
    play.event("1", "x", json!("kept"));
    play.apply(Input::Resume);
    assert_eq!(play.fault().status, 500);
    retried(&mut play);
    play.answer(200, json!("a"));

    let expected: Value = json!(["a", ["kept"]]);
    assert_eq!(play.output(), &expected);
}
