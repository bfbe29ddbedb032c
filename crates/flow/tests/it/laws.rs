//! Laws that hold for every run: replaying gives the same state, repeated and late inputs change nothing, and every
//! run ends or waits for something.

use std::sync::Arc;

use openevent_flow::{Chronicle, Command, Definition, Fault, FaultKind, Input, Outcome, Run};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A task as text, for blocks inside blocks.
fn task(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(json!({"set": {"a": "${ .a }", "n": 1}})),
        Just(json!({"set": "${ [.] | .[0] }"})),
        Just(json!({"call": "http", "with": {"method": "get", "endpoint": "https://x.example/{a}"}})),
        Just(
            json!({"call": "http", "with": {"method": "post", "endpoint": "https://x.example/", "body": "${ . }"},
            "export": {"as": "{last: .}"}, "timeout": {"after": "PT5S"}})
        ),
        Just(
            json!({"call": "openapi", "with": {"document": {"endpoint": "https://x.example"}, "operationId": "o"}})
        ),
        Just(json!({"run": {"shell": {"command": "x ${ .a }"}, "return": "all"}})),
        Just(json!({"run": {"workflow": {"namespace": "a", "name": "b", "version": "latest"}}})),
        Just(json!({"wait": "PT1S"})),
        Just(json!({"wait": {"milliseconds": 0}})),
        Just(
            json!({"emit": {"event": {"with": {"source": "https://x", "type": "t", "data": "${ $context }"}}}})
        ),
        Just(json!({"listen": {"to": {"one": {"with": {"type": "go"}}}}})),
        Just(json!({"listen": {"to": {"any": [], "until": "length >= 2"}}})),
        Just(json!({"listen": {"to": {"all": [{"with": {"type": "go"}}, {"with": {"type": "stop"}}]}}})),
        Just(json!({"raise": {"error": {"type": "https://x.example/e", "status": 500}}})),
        Just(json!({"set": "${ error(\"x\") }"})),
        Just(json!({"if": ".n == 1", "set": {"n": 2}, "then": "exit"})),
        Just(json!({"set": {"done": true}, "then": "end"})),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || block(depth - 1);
    let retry = json!({"delay": "PT1S", "limit": {"attempt": {"count": 2}}, "backoff": {"linear": {}},
        "jitter": {"from": "PT0S", "to": "PT2S"}});
    prop_oneof![
        6 => leaf,
        1 => inner().prop_map(|block| json!({"do": block})),
        1 => inner().prop_map(|block| json!({"fork": {"branches": block}})),
        1 => inner().prop_map(|block| json!({"fork": {"branches": block, "compete": true}})),
        1 => inner().prop_map(|block| json!({"for": {"in": "[1, 2, 3]"}, "do": block})),
        1 => inner().prop_map(move |block| json!({"try": block, "catch": {"retry": retry}})),
        1 => (inner(), inner()).prop_map(|(block, handler)| json!({"try": block, "catch": {"do": handler}})),
        1 => inner().prop_map(|block| json!({"listen": {"to": {"any": [{"with": {"type": "go"}}],
            "until": {"one": {"with": {"type": "stop"}}}}}, "foreach": {"do": block}})),
    ]
    .boxed()
}

fn block(depth: u32) -> BoxedStrategy<Value> {
    let named = |tasks: Vec<Value>| {
        tasks.into_iter().enumerate().map(|(n, task)| json!({format!("t{n}"): task})).collect()
    };
    vec(task(depth), 1..4).prop_map(named).boxed()
}

/// Mostly none, else one or two around some kinds of task.
fn extensions() -> impl Strategy<Value = Value> {
    let tasks =
        || prop_oneof![2 => block(0), 1 => Just(json!([{"out": {"set": {"skipped": 1}, "then": "exit"}}]))];
    let kinds = prop::sample::select(vec!["all", "set", "call", "composite", "for", "try", "listen"]);
    let extension = (kinds, tasks(), tasks())
        .prop_map(|(kind, before, after)| json!({"extend": kind, "when": "$task.name != \"t1\"", "before": before, "after": after}));
    let listed = |list: Vec<Value>| {
        list.into_iter().enumerate().map(|(n, one)| json!({format!("e{n}"): one})).collect()
    };
    prop_oneof![3 => Just(json!([])), 1 => vec(extension, 1..3).prop_map(listed)]
}

fn definition() -> impl Strategy<Value = Arc<Definition>> {
    (block(2), extensions()).prop_map(|(block, extensions)| {
        let definition = json!({"document": {"dsl": "1.0.3", "namespace": "t", "name": "n", "version": "0.1.0"},
            "use": {"extensions": extensions}, "do": block});
        Arc::new(Definition::parse(&definition.to_string()).expect("well formed").definition)
    })
}

/// What may happen, whether or not the run expects it.
fn happening() -> impl Strategy<Value = Input> {
    let event = |kind: &'static str| {
        (0..6_u8).prop_map(move |id| Input::Signal {
            event: json!({"id": format!("{kind}{id}"), "source": "s", "type": kind, "data": {"n": id}}),
        })
    };
    let op = 0..12_u64;
    prop_oneof![
        6 => op.clone().prop_map(|op| Input::Done { op, value: json!({"status": 200, "headers": {}, "body": {"a": op}}) }),
        2 => op.clone().prop_map(|op| Input::Done { op, value: json!({"status": 500}) }),
        1 => op.clone().prop_map(|op| Input::Done { op, value: json!("nonsense") }),
        1 => op.clone().prop_map(|op| Input::Failed { op, error: Fault::new(FaultKind::Timeout, "slow") }),
        6 => op.prop_map(|op| Input::Fired { op }),
        3 => event("go"),
        2 => event("stop"),
        1 => Just(Input::Suspend),
        1 => Just(Input::Resume),
        2 => Just(Input::Retry),
        1 => Just(crate::support::started(json!({"a": 2}))),
    ]
}

fn apply(run: &mut Run, def: &Definition, now: i64, input: &Input) -> (bool, Vec<Command>) {
    let step = run.apply(def, now, input.clone());
    (step.accepted, step.commands)
}

/// A command is outstanding, or only a person can move the run.
fn waits(run: &Run, def: &Definition, held: bool) -> bool {
    run.is_finished() || held || !run.outstanding(def).is_empty()
}

/// Drives a run to its end; the call `failing` fails once, and if that faults the run it is retried at once.
/// Gives how it ended and whether it was retried.
fn driven(def: &Definition, failing: Option<usize>) -> (Option<Outcome>, bool) {
    let mut run = Run::new();
    let mut commands = run.apply(def, 0, crate::support::started(json!({"a": 1}))).commands;
    let (mut calls, mut retried) = (0, false);
    for round in 1..2_000_i64 {
        if let Some(Command::Finish(outcome)) = commands.pop() {
            return (Some(outcome), retried);
        }
        let open = run.outstanding(def);
        let Some(next) = open.first() else { return (None, retried) };
        let now = round * 10_000;
        let mut input = answer(next, round);
        if let Command::Call { op, .. } = next {
            calls += 1;
            if failing == Some(calls - 1) {
                let failed = Input::Failed { op: *op, error: Fault::new(FaultKind::Communication, "down") };
                run.apply(def, now, failed);
                if !run.can_be_retried() {
                    return (None, false);
                }
                let again = run.apply(def, now, Input::Retry).commands;
                let is_fresh =
                    |command: &&Command| matches!(command, Command::Call { .. }) && !open.contains(command);
                let Some(fresh) = again.iter().find(is_fresh) else {
                    return (None, false); // it was caught, and something else failed
                };
                (input, retried) = (answer(fresh, round), true);
            }
        }
        commands = run.apply(def, now, input).commands;
    }
    (None, retried)
}

fn answer(command: &Command, round: i64) -> Input {
    match command {
        Command::Call { op, .. } => Input::Done { op: *op, value: json!({"status": 200, "body": {"a": 1}}) },
        Command::Emit { op, event } => Input::Done { op: *op, value: event.clone() },
        Command::Child { op, .. } => Input::Done { op: *op, value: json!({"a": 1}) },
        Command::Timer { op, .. } => Input::Fired { op: *op },
        Command::Listen { .. } => {
            let kind = if round % 2 == 0 { "go" } else { "stop" };
            Input::Signal {
                event: json!({"id": format!("e{round}"), "source": "s", "type": kind, "data": {}}),
            }
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn runs_keep_their_laws(def in definition(), happenings in vec(happening(), 0..40)) {
        let mut run = Run::new();
        let mut journal = Vec::new();
        let mut now = crate::support::START;
        let mut suspended = false;
        let mut chronicle = Chronicle::new();
        let all = std::iter::once(crate::support::started(json!({"a": 1, "n": 1}))).chain(happenings);
        for input in all {
            now += 700;
            let before = run.clone();
            let (accepted, commands) = apply(&mut run, &def, now, &input);
            if accepted {
                journal.push((now, input.clone()));
                suspended = (suspended || input == Input::Suspend) && input != Input::Resume;
            } else {
                prop_assert_eq!(&before, &run, "what is not accepted changes nothing");
                prop_assert!(commands.is_empty());
            }
            prop_assert!(waits(&run, &def, suspended), "ends or waits");

            let repeated = run.clone();
            if !matches!(input, Input::Resume | Input::Retry) || !accepted {
                let (again, _) = apply(&mut run, &def, now, &input);
                prop_assert!(!again, "repeated {:?}", input);
                prop_assert_eq!(&repeated, &run, "a repeated input changes nothing");
            }

            let text = serde_json::to_string(&run).unwrap();
            let restored: Run = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&restored, &run, "a snapshot holds everything");
            prop_assert_eq!(restored.outstanding(&def), run.outstanding(&def));

            chronicle.take(&def, now, input);
            let text = serde_json::to_string(&chronicle).unwrap();
            let restored: Chronicle = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&restored, &chronicle, "a saved chronicle holds everything");
        }
        prop_assert_eq!(chronicle.run(), &run);

        let mut replayed = Run::new();
        for (now, input) in &journal {
            let text = serde_json::to_string(input).unwrap();
            prop_assert!(replayed.apply(&def, *now, serde_json::from_str(&text).unwrap()).accepted);
        }
        prop_assert_eq!(&replayed, &run, "replaying gives the same state");

        run.apply(&def, now, Input::Cancel);
        prop_assert!(run.is_finished());
        prop_assert!(run.outstanding(&def).is_empty());
    }

    #[test]
    fn a_run_retried_after_a_failed_call_ends_as_if_it_had_not_failed(def in definition(), nth in 0..4_usize) {
        let (smooth, _) = driven(&def, None);
        let (retried, faulted) = driven(&def, Some(nth));
        if faulted {
            prop_assert_eq!(smooth, retried, "{}", def.document());
        }
    }

    #[test]
    fn answered_runs_end(def in definition()) {
        let mut run = Run::new();
        let mut open = run.apply(&def, 0, crate::support::started(json!({"a": 1}))).commands;
        let mut rounds = 0_i64;
        while !run.is_finished() && rounds < 3_000 {
            rounds += 1;
            let now = rounds * 10_000;
            open = run.outstanding(&def);
            let input = answer(open.first().expect("something to wait for"), rounds);
            run.apply(&def, now, input);
        }
        prop_assert!(run.is_finished(), "still open: {:?}", open);
    }
}
