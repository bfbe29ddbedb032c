//! What an input costs: work is bounded by counting it. What is ignored here only measures: run it with
//! `cargo test -p openevent-flow --release --test it speed -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use openevent_flow::{Chronicle, Definition, Input, Run};
use serde_json::{Value, json};

const ONE_CALL: &str = r#"
document: { dsl: '1.0.3', namespace: test, name: one-call, version: '0.1.0' }
schedule: { on: { one: { with: { type: order.created } } } }
do:
  - notify:
      call: http
      with:
        method: post
        endpoint: https://example.com/notify
        body: { id: "${ $workflow.input[0].data.id }", text: "Order ${ $workflow.input[0].data.id }" }
"#;

const PARKED: &str = r"
document: { dsl: '1.0.3', namespace: test, name: parked, version: '0.1.0' }
do:
  - nap: { wait: PT1H }
";

/// Workflows that show where the time goes.
const PARTS: &[(&str, &str)] = &[
    ("nothing", "do: []"),
    ("a literal set", "do: [ a: { set: { x: 1 } } ]"),
    ("two literal sets", "do: [ a: { set: { x: 1 } }, b: { set: { x: 1 } } ]"),
    ("a path", "do: [ a: { set: '${ .[0].data.id }' } ]"),
    ("a workflow path", "do: [ a: { set: '${ $workflow.input[0].data.id }' } ]"),
    (
        "three workflow paths",
        "do: [ a: { set: { x: '${ $workflow.input[0].data.id }', y: '${ $workflow.input[0].data.id }', z: '${ $workflow.input[0].data.id }' } } ]",
    ),
    ("a call", "do: [ a: { call: http, with: { method: get, endpoint: 'https://x.example/' } } ]"),
];

fn definition(source: &str) -> Definition {
    Definition::parse(source).expect("valid").definition
}

fn started(id: usize) -> Input {
    let data = json!({"id": id, "customer": {"name": "A", "mail": "a@example.com"}, "items": [{"sku": "x", "n": 1}]});
    let event = json!({"specversion": "1.0", "id": format!("e{id}"), "source": "/s", "type": "order.created", "data": data});
    Input::Started { input: json!([event]), run_id: format!("run_{id}"), by_events: true }
}

/// Processor time of this thread, which a busy machine does not change much (Linux).
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Microseconds of processor time a round.
fn measure(rounds: usize, mut work: impl FnMut(usize)) -> f64 {
    (0..rounds / 10).for_each(&mut work);
    let begun = processor_ns();
    (0..rounds).for_each(work);
    (processor_ns() - begun) as f64 / 1e3 / rounds as f64
}

#[test]
#[ignore = "prints measurements"]
fn costs() {
    const ROUNDS: usize = 50_000;
    let one_call = definition(ONE_CALL);
    let parked = definition(PARKED);
    let begun = Instant::now();
    (0..200).for_each(|_| drop(black_box(definition(ONE_CALL))));
    println!("parse: {:.0} µs", begun.elapsed().as_secs_f64() * 1e6 / 200.0);
    let answer = json!({"status": 200, "headers": {"content-type": "application/json"}, "body": {"ok": true}, "uri": "https://example.com/notify"});
    let took = measure(ROUNDS, |id| {
        black_box((started(id), Input::Done { op: 1, value: answer.clone() }));
    });
    println!("building the inputs: {took:.2} µs");
    let took = measure(ROUNDS, |id| {
        let mut run = Run::new();
        black_box(run.apply(&one_call, 0, started(id)));
        black_box(run.apply(&one_call, 0, Input::Done { op: 1, value: answer.clone() }));
        assert!(run.is_finished());
    });
    println!("a run of one call (2 inputs): {took:.2} µs");
    for (what, tasks) in PARTS {
        let head = "document: { dsl: '1.0.3', namespace: test, name: part, version: '0.1.0' }";
        let def = definition(&format!("{head}\n{tasks}"));
        let took = measure(ROUNDS, |id| {
            let mut run = Run::new();
            black_box(run.apply(&def, 0, started(id)));
        });
        println!("starting with {what}: {took:.2} µs");
    }
    let took = measure(ROUNDS, |id| {
        let Input::Started { input: Value::Array(events), .. } = started(id) else { return };
        black_box(one_call.trigger().map(|trigger| trigger.filters()[0].matches(&events[0])));
    });
    println!("matching a trigger: {took:.2} µs");
    let mut run = Run::new();
    run.apply(&parked, 0, started(1));
    let snapshot = serde_json::to_string(&run).unwrap();
    println!("parked snapshot: {} bytes: {snapshot}", snapshot.len());
    let took = measure(ROUNDS, |_| {
        let run: Run = serde_json::from_str(&snapshot).unwrap();
        black_box(run.outstanding(&parked));
    });
    println!("restoring a parked run from its snapshot: {took:.2} µs");
    let took = measure(ROUNDS, |_| drop(black_box(serde_json::to_string(&run))));
    println!("saving a parked run: {took:.2} µs");
    let journal = serde_json::to_string(&started(1)).unwrap();
    let took = measure(ROUNDS, |_| {
        let mut run = Run::new();
        run.apply(&parked, 0, serde_json::from_str(&journal).unwrap());
        black_box(run.outstanding(&parked));
    });
    println!("restoring a parked run from its journal: {took:.2} µs");
}

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: large, version: '0.1.0' }\n";

/// A fork of calls, each followed by another task in its branch.
fn fork(branches: usize) -> Definition {
    let branch = |n| {
        format!(
            "          - b{n}:\n              do: [ a: {{ call: http, with: {{ method: get, endpoint: 'https://x.example/{n}' }} }}, b: {{ set: {{ n: {n} }} }} ]\n"
        )
    };
    let branches = (0..branches).map(branch).collect::<Vec<_>>().concat();
    definition(&format!("{HEAD}do:\n  - all:\n      fork:\n        branches:\n{branches}"))
}

fn answered(op: u64) -> Input {
    Input::Done { op, value: json!({"status": 200, "headers": {}, "body": {"op": op}}) }
}

/// Takes the inputs of a run that only calls, and gives how much it said and its largest snapshot.
fn called(def: &Definition, input: Value, calls: u64, every: u64) -> (usize, usize) {
    let mut run = Run::new();
    let started = Input::Started { input, run_id: "r".to_owned(), by_events: false };
    let mut commands = run.apply(def, 0, started).commands.len();
    let mut largest = 0;
    for op in 1..=calls {
        if op % every == 0 {
            largest = largest.max(serde_json::to_string(&run).expect("json").len());
        }
        commands += run.apply(def, 0, answered(op)).commands.len();
    }
    assert!(run.is_finished());
    (commands, largest)
}

#[test]
fn a_thousand_branches_cost_a_thousand_times_one() {
    let (commands, largest) = called(&fork(1000), json!({}), 1000, 250);

    // a call each and the end; nothing is abandoned or said twice
    assert_eq!(commands, 1001);
    // two frames, a request and an output of each branch
    assert!(largest < 1000 * 1000, "{largest}");
}

#[test]
fn ten_thousand_rounds_keep_no_more_than_one() {
    let tasks = "do: [ loop: { for: { in: '[range($workflow.input)]' }, do: [ set: { set: { n: '${ $item }' } }, call: { call: http, with: { method: get, endpoint: 'https://x.example/' }, output: { as: '{ n: .op }' } } ] } ]";
    let def = definition(&format!("{HEAD}{tasks}"));
    let (commands, largest) = called(&def, json!(10_000), 10_000, 2_500);

    assert_eq!(commands, 10_001);
    // the list that is gone through, and one round
    assert!(largest < 10_000 * 5 + 2_000, "{largest}");
}

#[test]
fn thousands_of_events_are_one_list_in_a_snapshot() {
    let tasks = "do: [ hear: { listen: { to: { any: [], until: 'length == 3000' } } } ]";
    let def = definition(&format!("{HEAD}{tasks}"));
    let mut run = Run::new();
    run.apply(&def, 0, started(1));
    for id in 0..2_999 {
        let event =
            json!({"specversion": "1.0", "id": format!("n{id}"), "source": "s", "type": "t", "data": id});
        assert!(run.apply(&def, 0, Input::Signal { event }).accepted);
    }

    // the numbers, and the last thousand events that were consumed
    let saved = serde_json::to_string(&run).expect("json");
    assert!(saved.len() < 3_000 * 5 + 1_000 * 12 + 2_000, "{}", saved.len());
    let event = json!({"specversion": "1.0", "id": "last", "source": "s", "type": "t", "data": 0});
    run.apply(&def, 0, Input::Signal { event });
    assert!(run.is_finished());
}

#[test]
fn ten_thousand_rounds_without_waiting_are_one_step() {
    let tasks = "do: [ loop: { for: { in: '[range(.count)]' }, do: [ one: { set: { sum: '${ .sum + $item }' } }, two: { set: '${ . }' } ] } ]";
    let def = definition(&format!("{HEAD}{tasks}"));
    let mut chronicle = Chronicle::new();
    let input = Input::Started { input: json!({"count": 10_000}), run_id: "r".to_owned(), by_events: false };
    chronicle.take(&def, 0, input);

    assert!(chronicle.run().is_finished());
    assert_eq!((chronicle.tasks().len(), chronicle.omitted()), (1_000, 19_001));
}

#[test]
#[ignore = "prints measurements"]
fn large_ones() {
    let def = fork(1000);
    let begun = Instant::now();
    called(&def, json!({}), 1000, u64::MAX);
    println!("fork of 1000 branches, a call and a set each: {:?}", begun.elapsed());

    let each = "do:\n  - loop:\n      for: { in: .items }\n      do:\n        - one: { set: { items: '${ .items }', sum: '${ .sum + $item }' } }\n        - two: { set: '${ . }' }\n";
    let each = definition(&format!("{HEAD}{each}"));
    let items: Vec<_> = (0..10_000).collect();
    let input = json!({"items": items, "sum": 0});
    let started = Input::Started { input, run_id: "r".to_owned(), by_events: false };
    let begun = Instant::now();
    let mut run = Run::new();
    run.apply(&each, 0, started.clone());
    assert!(run.is_finished());
    println!("for over 10000 items, two tasks each: {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut chronicle = Chronicle::new();
    chronicle.take(&each, 0, started);
    println!("the same with its tasks, {} remembered: {:?}", chronicle.tasks().len(), begun.elapsed());

    let calls = "do: [ loop: { for: { in: .items }, do: [ one: { call: http, with: { method: get, endpoint: 'https://x.example/' }, output: { as: $input } } ] } ]";
    let calls = definition(&format!("{HEAD}{calls}"));
    let begun = Instant::now();
    called(&calls, json!({"items": items}), 10_000, u64::MAX);
    println!("for over 10000 items, a call each: {:?}", begun.elapsed());
}
