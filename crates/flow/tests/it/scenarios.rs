//! Scenarios: what a definition does with an input when the outside answers so and so, in tables of YAML.
//!
//! Each file of `tests/scenarios` is a list. `workflow` is the definition without `document`. Whatever is asked is
//! answered in turn: emissions at once, calls by `answers`, then `events` are sent, then timers fire. `steps` comes
//! first where the order matters. What is expected: `output`, `error`, `status`, `calls`, `emitted`, `waits`, `tasks`;
//! objects may have more members than expected of calls, emissions and errors.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use openevent_flow::{Call, Command, Definition, Fault, Input, Match, Outcome, Run, fuzzing, history};
use serde_json::{Value, json};

use crate::support::{START, started};

/// Inputs of one scenario; more would mean that it never ends.
const INPUTS_MAX: usize = 500;

struct Scene {
    def: Definition,
    run: Run,
    now: i64,
    journal: Vec<(i64, Input)>,
    outcome: Option<Outcome>,
    open: BTreeMap<u64, Command>,
    answers: VecDeque<Value>,
    events: VecDeque<Value>,
    calls: Vec<Value>,
    emitted: Vec<Value>,
    waits: Vec<i64>,
}

fn list(scenario: &Value, name: &str) -> VecDeque<Value> {
    scenario.get(name).and_then(Value::as_array).cloned().unwrap_or_default().into()
}

impl Scene {
    fn new(scenario: &Value) -> Self {
        let mut workflow = scenario["workflow"].clone();
        if workflow.get("document").is_none() {
            workflow["document"] =
                json!({"dsl": "1.0.3", "namespace": "test", "name": "scenario", "version": "1.0.0"});
        }
        let def = match Definition::parse(&workflow.to_string()) {
            Ok(parsed) => parsed.definition,
            Err(issues) => panic!("{issues:?}"),
        };
        Self {
            def,
            run: Run::new(),
            now: START,
            journal: Vec::new(),
            outcome: None,
            open: BTreeMap::new(),
            answers: list(scenario, "answers"),
            events: list(scenario, "events"),
            calls: Vec::new(),
            emitted: Vec::new(),
            waits: Vec::new(),
        }
    }

    fn apply(&mut self, input: Input) -> bool {
        let step = self.run.apply(&self.def, self.now, input.clone());
        if !step.accepted {
            return false;
        }
        assert!(self.journal.len() < INPUTS_MAX, "it never ends");
        self.journal.push((self.now, input));
        self.outcome = None;
        for command in step.commands {
            self.take(command);
        }
        let saved = serde_json::to_string(&self.run).expect("json");
        let restored: Run = serde_json::from_str(&saved).expect("a run");
        assert_eq!(restored, self.run, "a snapshot holds everything");
        true
    }

    fn take(&mut self, command: Command) {
        match &command {
            Command::Call { op, call } => {
                self.calls.push(shown(call));
                self.open.insert(*op, command);
            }
            Command::Child { op, child } => {
                self.calls.push(json!({"namespace": child.namespace, "name": child.name, "version": child.version, "input": child.input, "wait": child.wait}));
                self.open.insert(*op, command);
            }
            Command::Emit { op, event } => {
                self.emitted.push(event.clone());
                self.open.insert(*op, command);
            }
            Command::Timer { op, .. } | Command::Listen { op, .. } => {
                self.open.insert(*op, command);
            }
            Command::Abandon { op } => {
                self.open.remove(op);
            }
            Command::Finish(outcome) => self.outcome = Some(outcome.clone()),
        }
    }

    fn first(&self, wanted: fn(&Command) -> bool) -> Option<(u64, Command)> {
        self.open.iter().find(|(_, command)| wanted(command)).map(|(op, command)| (*op, command.clone()))
    }

    /// Does one thing that can be done; false when there is nothing.
    fn advance(&mut self) -> bool {
        self.confirm() || self.answer() || self.send() || self.tick()
    }

    fn confirm(&mut self) -> bool {
        let Some((op, Command::Emit { mut event, .. })) =
            self.first(|command| matches!(command, Command::Emit { .. }))
        else {
            return false;
        };
        self.open.remove(&op);
        if event.get("id").is_none() {
            event["id"] = json!(format!("sent-{op}"));
        }
        self.apply(Input::Done { op, value: event })
    }

    fn answer(&mut self) -> bool {
        let is_asked = |command: &Command| matches!(command, Command::Call { .. } | Command::Child { .. });
        let Some((op, command)) = self.first(is_asked) else { return false };
        let Some(answer) = self.answers.pop_front() else { return false };
        self.open.remove(&op);
        if let Some(error) = answer.get("error") {
            let error: Fault = serde_json::from_value(error.clone()).expect("an error");
            return self.apply(Input::Failed { op, error });
        }
        let is_request = matches!(command, Command::Call { call: Call::Http(_) | Call::OpenApi(_), .. });
        let value = if is_request {
            let mut value =
                json!({"status": 200, "headers": {"content-type": "application/json"}, "body": null});
            for (name, member) in answer.as_object().into_iter().flatten() {
                value[name] = member.clone();
            }
            value
        } else {
            answer["done"].clone()
        };
        self.apply(Input::Done { op, value })
    }

    fn send(&mut self) -> bool {
        let Some(mut event) = self.events.pop_front() else { return false };
        let number = self.events.len();
        for (name, default) in [("specversion", json!("1.0")), ("source", json!("https://test.example"))] {
            if event.get(name).is_none() {
                event[name] = default;
            }
        }
        if event.get("id").is_none() {
            event["id"] = json!(format!("event-{number}"));
        }
        let wanted = self.open.values().any(|command| match command {
            Command::Listen { filters, .. } => {
                filters.is_empty() || filters.iter().any(|filter| filter.matches(&event) == Match::Yes)
            }
            _ => false,
        });
        if wanted {
            self.apply(Input::Signal { event });
        }
        true
    }

    fn tick(&mut self) -> bool {
        let timers = self.open.iter().filter_map(|(op, command)| match command {
            Command::Timer { at, .. } => Some((*at, *op)),
            _ => None,
        });
        let Some((at, op)) = timers.min() else { return false };
        self.open.remove(&op);
        self.waits.push(at - self.now);
        self.now = self.now.max(at);
        self.apply(Input::Fired { op })
    }

    fn step(&mut self, step: &str) {
        let done = match step {
            "answer" => self.answer(),
            "send" => self.send(),
            "tick" => self.tick(),
            "confirm" => self.confirm(),
            "suspend" => self.apply(Input::Suspend),
            "resume" => self.apply(Input::Resume),
            "retry" => self.apply(Input::Retry),
            "cancel" => self.apply(Input::Cancel),
            other => panic!("no such step: {other}"),
        };
        assert!(done, "nothing to do for '{step}'");
    }
}

fn shown(call: &Call) -> Value {
    match call {
        Call::Http(call) => {
            let headers: serde_json::Map<String, Value> =
                call.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({"method": call.method, "uri": call.uri, "headers": headers, "body": call.body,
                "authentication": call.authentication})
        }
        Call::OpenApi(call) => json!(call),
        Call::Process(call) => json!(call),
        Call::Secrets { names } => json!({"secrets": names}),
        _ => Value::Null,
    }
}

/// Whether everything that is expected is there.
fn contains(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| contains(actual.get(name).unwrap_or(&Value::Null), expected)),
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(actual, expected)| contains(actual, expected))
        }
        _ => actual == expected,
    }
}

fn play(scenario: &Value) -> Scene {
    let mut scene = Scene::new(scenario);
    let input = scenario.get("input").cloned().unwrap_or_else(|| json!({}));
    match scenario.get("startedBy") {
        Some(events) => {
            let (input, run_id) = (events.clone(), "run-1".to_owned());
            scene.apply(Input::Started { input, run_id, by_events: true })
        }
        None => scene.apply(started(input)),
    };
    for step in list(scenario, "steps") {
        scene.step(step.as_str().expect("a step"));
    }
    while scene.outcome.is_none() && scene.advance() {}
    scene
}

fn check(scenario: &Value) -> Result<(), String> {
    let scene = play(scenario);
    let (run, tasks) = history(&scene.def, scene.journal.clone());
    assert_eq!(run, scene.run, "replaying gives the same run");
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| format!("{} {} {}", task.name, task.status.as_str(), task.attempts))
        .collect();
    let error = match &scene.outcome {
        Some(Outcome::Faulted(fault)) => serde_json::to_value(fault).expect("json"),
        _ => Value::Null,
    };
    let output = match &scene.outcome {
        Some(Outcome::Completed(output)) => output.clone(),
        other => json!({"no output": format!("{other:?}")}),
    };
    let facts = [
        ("output", output, false),
        ("error", error, true),
        ("status", json!(scene.run.status().as_str()), false),
        ("calls", json!(scene.calls), true),
        ("emitted", json!(scene.emitted), true),
        ("waits", json!(scene.waits), false),
        ("tasks", json!(tasks), false),
    ];
    let mut expectations = 0;
    for (name, actual, partly) in facts {
        let Some(expected) = scenario.get(name) else { continue };
        expectations += 1;
        let fits = if partly { contains(&actual, expected) } else { &actual == expected };
        if !fits {
            return Err(format!("{name}: expected {expected}\n    but it is {actual}"));
        }
    }
    let known = ["scenario", "workflow", "input", "startedBy", "answers", "events", "steps"];
    let given =
        scenario.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()));
    if expectations == 0 || given.count() != expectations {
        return Err("an expectation is not one".to_owned());
    }
    Ok(())
}

#[test]
fn the_language_does_what_its_scenarios_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for path in files {
        let scenarios = fuzzing::yaml(&std::fs::read_to_string(&path).unwrap()).expect("YAML");
        for scenario in scenarios.as_array().expect("a list") {
            count += 1;
            let name = format!("{}: {}", path.file_stem().unwrap().display(), scenario["scenario"]);
            match std::panic::catch_unwind(|| check(scenario)) {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => failures.push(format!("{name}\n    {reason}")),
                Err(_) => failures.push(format!("{name}\n    panicked")),
            }
        }
    }
    assert!(failures.is_empty(), "\n{}\n{} of {count} failed", failures.join("\n"), failures.len());
    assert!(count >= 80, "only {count} scenarios");
}
