//! What concerns a run as a whole: its secrets, and the events that cancel it.

use openevent_flow::{Call, Command, Definition, Fault, FaultKind, Input, Outcome, Run, Status};
use serde_json::{Value, json};

use crate::support::{Play, START, parse, started};

const SECRET: &str = "use: { secrets: [shop, other] }\ninput: { from: '{ key: $secrets.shop.key }' }\n\
    do: [ a: { set: { key: '${ .key }' } }, b: { if: .key != null, set: { key: '${ .key }', other: '${ $secrets.other }' } } ]";

fn outcome(commands: &[Command]) -> &Outcome {
    match commands.last() {
        Some(Command::Finish(outcome)) => outcome,
        other => panic!("not finished: {other:?}"),
    }
}

fn fault(commands: &[Command]) -> (u16, &str) {
    match outcome(commands) {
        Outcome::Faulted(fault) => (fault.status, fault.instance.as_deref().unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn asked(def: &Definition) -> Run {
    let mut run = Run::new();
    let step = run.apply(def, 0, started(json!({})));
    let names = vec!["shop".to_owned(), "other".to_owned()];
    assert_eq!(step.commands, [Command::Call { op: 1, call: Call::Secrets { names } }]);
    assert_eq!((run.status(), run.outstanding(def)), (Status::Running, step.commands));
    run
}

#[test]
fn secrets_are_asked_for_before_anything_is_evaluated() {
    let def = parse(SECRET);
    let mut run = asked(&def);
    let value = json!({"shop": {"key": "<1>"}, "other": "<2>", "undeclared": "x"});
    let step = run.apply(&def, 0, Input::Done { op: 1, value });

    assert_eq!(outcome(&step.commands), &Outcome::Completed(json!({"key": "<1>", "other": "<2>"})));
}

#[test]
fn a_secret_that_is_not_there_is_an_authorization_error_where_it_is_used() {
    let def = parse(SECRET);
    let mut run = asked(&def);
    let step = run.apply(&def, 0, Input::Done { op: 1, value: json!({"shop": {"key": "<1>"}}) });
    assert_eq!(fault(&step.commands), (403, "/do/1/b"));

    let mut run = asked(&def);
    let step = run.apply(&def, 0, Input::Done { op: 1, value: json!({"other": "<2>"}) });
    assert_eq!(fault(&step.commands), (403, "/input"));

    for expression in ["$secrets.nope", "$secrets[\"nope\"].a", "[1, 2] | map($secrets.nope)"] {
        let tasks = format!("do: [ a: {{ set: {{ x: '${{ {expression} }}' }} }} ]");
        assert_eq!(Play::start(&tasks, json!({})).fault().status, 403, "{expression}");
        let loose = format!("evaluate: {{ mode: loose }}\ndo: [ a: {{ set: {{ x: '{expression}' }} }} ]");
        assert_eq!(Play::start(&loose, json!({})).fault().status, 403, "{expression}");
    }
    let caught = "do: [ t: { try: [ a: { set: { x: '${ $secrets.nope }' } } ], catch: { errors: { with: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/authorization' } } } } ]";
    assert_eq!(Play::start(caught, json!({"n": 1})).output(), &json!({"n": 1}));
}

#[test]
fn a_retry_asks_again_for_secrets_that_were_not_there() {
    let def = parse(SECRET);
    let mut run = asked(&def);
    run.apply(&def, 0, Input::Done { op: 1, value: json!({"shop": {"key": "<1>"}}) });
    let step = run.apply(&def, 0, Input::Retry);
    assert!(matches!(step.commands.as_slice(), [Command::Call { op: 2, call: Call::Secrets { .. } }]));
    assert!(!run.apply(&def, 0, Input::Retry).accepted);
    let run_restored: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    assert_eq!(run_restored.outstanding(&def), step.commands);
    let value = json!({"shop": {"key": "<other stand-in>"}, "other": "<2>"});
    let step = run.apply(&def, 0, Input::Done { op: 2, value });

    assert_eq!(outcome(&step.commands), &Outcome::Completed(json!({"key": "<1>", "other": "<2>"})));
}

#[test]
fn a_run_whose_secrets_cannot_be_had_faults_and_can_be_retried() {
    let def = parse(SECRET);
    let mut run = asked(&def);
    let error = Fault::new(FaultKind::Runtime, "the key file is gone");
    let step = run.apply(&def, 0, Input::Failed { op: 1, error });
    assert_eq!(fault(&step.commands), (500, "/use/secrets"));
    let step = run.apply(&def, 0, Input::Retry);
    assert!(matches!(step.commands.as_slice(), [Command::Call { op: 2, .. }]));
}

const CANCELLED_BY: &str = "document: { dsl: '1.0.3', namespace: test, name: golden, version: '0.1.0', metadata: { openevent: { cancelOn: [ { with: { type: order.cancelled }, correlate: { id: { from: .data.id, expect: '${ $workflow.input.id }' } } } ] } } }\ndo: [ a: { wait: PT1H } ]";

fn cancellable() -> (Definition, Run) {
    let def = Definition::parse(CANCELLED_BY).expect("valid").definition;
    let mut run = Run::new();
    let step = run.apply(&def, START, started(json!({"id": 7})));
    assert!(matches!(step.commands[0], Command::Listen { op: 1, since: START, .. }), "{step:?}");
    (def, run)
}

fn cancelled(id: u8, time: Option<&str>) -> Input {
    let mut event =
        json!({"id": format!("e{id}"), "source": "s", "type": "order.cancelled", "data": {"id": id}});
    if let Some(time) = time {
        event["time"] = Value::from(time);
    }
    Input::Signal { event }
}

#[test]
fn an_event_that_correlates_cancels_the_run() {
    let (def, mut run) = cancellable();
    assert!(!run.apply(&def, START, cancelled(8, None)).accepted);
    let mut restored: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    assert_eq!(restored.outstanding(&def), run.outstanding(&def));

    let step = restored.apply(&def, START, cancelled(7, None));

    assert_eq!(
        step.commands,
        [Command::Abandon { op: 1 }, Command::Abandon { op: 2 }, Command::Finish(Outcome::Cancelled)]
    );
}

#[test]
fn a_suspended_run_is_cancelled_at_once() {
    let (def, mut run) = cancellable();
    run.apply(&def, START, Input::Suspend);
    run.apply(&def, START, cancelled(7, None));
    assert_eq!(run.status(), Status::Cancelled);
}

#[test]
fn an_event_from_before_the_run_does_not_cancel_it() {
    let (def, mut run) = cancellable();
    assert!(!run.apply(&def, START, cancelled(7, Some("2023-11-14T22:13:19.999Z"))).accepted);
    assert!(run.apply(&def, START, cancelled(7, Some("2023-11-14T22:13:20.000Z"))).accepted);
    assert_eq!(run.status(), Status::Cancelled);
}
