//! The history of a run stays small, and can be saved and gone on with at any point.

use openevent_flow::{Chronicle, Definition, Input, Status};
use serde_json::{Value, json};

use crate::support::{START, parse, started};

const LOOP: &str = "do: [ l: { for: { in: '[range($workflow.input)]' }, do: [ a: { call: http, with: { method: get, endpoint: 'https://x.example/' }, output: { as: '$input' } } ] } ]";

fn looped(def: &Definition, rounds: u64, each: impl Fn(Chronicle) -> Chronicle) -> Chronicle {
    let mut chronicle = Chronicle::new();
    chronicle.take(def, START, started(json!(rounds)));
    for op in 1..=rounds {
        let value = json!({"status": 200, "headers": {}, "body": null});
        chronicle.take(def, START + op as i64, Input::Done { op, value });
        chronicle = each(chronicle);
    }
    chronicle
}

fn restored(chronicle: &Chronicle) -> Chronicle {
    serde_json::from_str(&serde_json::to_string(chronicle).expect("json")).expect("a chronicle")
}

#[test]
fn the_last_thousand_tasks_that_ended_are_remembered() {
    let def = parse(LOOP);
    let chronicle = looped(&def, 1_200, |chronicle| chronicle);

    let tasks = chronicle.tasks();
    assert_eq!((tasks.len(), chronicle.omitted()), (1_000, 201));
    assert_eq!((tasks[0].name.as_str(), tasks[0].status), ("l", Status::Completed));
    let starts: Vec<i64> = tasks[1..].iter().map(|task| task.started_at - START).collect();
    assert_eq!(starts, (201..1_200).collect::<Vec<i64>>());
    assert_eq!(chronicle.run().status(), Status::Completed);
}

#[test]
fn a_saved_chronicle_goes_on_as_the_one_it_was_saved_from() {
    let def = parse(LOOP);
    let whole = looped(&def, 30, |chronicle| chronicle);
    let patched = looped(&def, 30, |chronicle| restored(&chronicle));

    assert_eq!(whole, patched);
    assert_eq!(whole.tasks(), patched.tasks());
}

#[test]
fn a_chronicle_does_not_grow_with_the_run() {
    let def = parse(LOOP);
    let size = |rounds| {
        let chronicle = looped(&def, rounds, |chronicle| chronicle);
        serde_json::to_string(&chronicle).expect("json").len()
    };
    let (short, long) = (size(1_100), size(1_300));

    // the list that is gone through is longer; nothing else grows
    assert!(long < short + 5_000, "{short} {long}");
}

#[test]
fn large_data_is_cut_and_much_data_is_forgotten_early() {
    let def = parse(
        "do: [ one: { set: { list: '${ [range(20000)] }' } }, l: { for: { in: '[range(200)]' }, do: [ a: { set: { n: '${ $item }', text: '${ \"x\" * 60000 }' } } ] } ]",
    );
    let mut chronicle = Chronicle::new();
    chronicle.take(&def, START, started(json!({})));

    let tasks = chronicle.tasks();
    assert!(tasks.len() < 160 && chronicle.omitted() > 40, "{} {}", tasks.len(), chronicle.omitted());
    let last = tasks.last().and_then(|task| task.output.clone()).expect("an output");
    assert_eq!(last["n"], 199);

    let mut chronicle = Chronicle::new();
    let def = parse("do: [ one: { set: { list: '${ [range(20000)] }' } } ]");
    chronicle.take(&def, START, started(json!({})));
    let output = chronicle.tasks()[0].output.clone().expect("an output");
    let cut = output["cut"].as_str().expect("cut");
    assert!(cut.starts_with("{\"list\":[0,1,2") && cut.len() < 1_100);
}

#[test]
fn suspended_tasks_are_shown_as_such() {
    let def = parse("do: [ a: { wait: PT1H } ]");
    let mut chronicle = Chronicle::new();
    let status = |chronicle: &Chronicle| chronicle.tasks()[0].status;
    chronicle.take(&def, START, started(Value::Null));
    assert_eq!(status(&chronicle), Status::Waiting);
    chronicle.take(&def, START, Input::Suspend);
    assert_eq!(status(&chronicle), Status::Suspended);
    chronicle.take(&def, START, Input::Resume);
    assert_eq!(status(&chronicle), Status::Waiting);
}
