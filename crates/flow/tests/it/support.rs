//! A driver for tests: performs commands by a script, keeps the journal, and writes down what happened.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use openevent_flow::{
    Call, Command, Definition, EventFilter, Fault, FaultKind, HttpCall, Input, Match, Outcome, Run, Status,
    history,
};
use serde_json::{Value, json};

pub(crate) const START: i64 = 1_700_000_000_000;

pub(crate) fn parse(tasks: &str) -> Arc<Definition> {
    let head = "document: { dsl: '1.0.3', namespace: test, name: golden, version: '0.1.0' }\n";
    match Definition::parse(&format!("{head}{tasks}")) {
        Ok(parsed) => Arc::new(parsed.definition),
        Err(issues) => panic!("{}", issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

pub(crate) fn started(input: Value) -> Input {
    Input::Started { input, run_id: "run-1".to_owned(), by_events: false }
}

/// A run, its surroundings and its journal.
pub(crate) struct Play {
    pub(crate) def: Arc<Definition>,
    pub(crate) run: Run,
    pub(crate) now: i64,
    pub(crate) journal: Vec<(i64, Input)>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) story: String,
    calls: VecDeque<(u64, HttpCall)>,
    timers: BTreeMap<u64, i64>,
    listens: BTreeMap<u64, Vec<Arc<EventFilter>>>,
    emits: VecDeque<(u64, Value)>,
}

impl Play {
    pub(crate) fn new(tasks: &str) -> Self {
        Self {
            def: parse(tasks),
            run: Run::new(),
            now: START,
            journal: Vec::new(),
            outcome: None,
            story: String::new(),
            calls: VecDeque::new(),
            timers: BTreeMap::new(),
            listens: BTreeMap::new(),
            emits: VecDeque::new(),
        }
    }

    pub(crate) fn start(tasks: &str, input: Value) -> Self {
        let mut play = Self::new(tasks);
        play.apply(started(input));
        play
    }

    pub(crate) fn apply(&mut self, input: Input) -> bool {
        let _ =
            writeln!(self.story, "+{} > {}", self.now - START, serde_json::to_string(&input).expect("json"));
        let step = self.run.apply(&self.def, self.now, input.clone());
        if !step.accepted {
            let _ = writeln!(self.story, "    not accepted");
            assert!(step.commands.is_empty());
            return false;
        }
        self.journal.push((self.now, input));
        step.commands.into_iter().for_each(|command| self.command(command));
        true
    }

    fn command(&mut self, command: Command) {
        let words = match command {
            Command::Call { op, call } => {
                let Call::Http(call) = call else { panic!("unexpected call") };
                let body = call.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
                let words = format!("call {op}: {} {} {:?}{body}", call.method, call.uri, call.headers);
                self.calls.push_back((op, call));
                words
            }
            Command::Timer { op, at } => {
                self.timers.insert(op, at);
                format!("timer {op}: +{}", at - START)
            }
            Command::Listen { op, filters, since } => {
                let types: Vec<_> =
                    filters.iter().map(|filter| filter.event_type().unwrap_or("*").to_owned()).collect();
                self.listens.insert(op, filters);
                format!("listen {op}: {} since +{}", types.join(", "), since - START)
            }
            Command::Child { op, child } => format!("child {op}: {}/{}", child.namespace, child.name),
            Command::Emit { op, event } => {
                let words = format!("emit {op}: {event}");
                self.emits.push_back((op, event));
                words
            }
            Command::Abandon { op } => {
                self.calls.retain(|(other, _)| *other != op);
                self.timers.remove(&op);
                self.listens.remove(&op);
                format!("abandon {op}")
            }
            Command::Finish(outcome) => {
                let words = match &outcome {
                    Outcome::Completed(output) => format!("completed: {output}"),
                    Outcome::Faulted(fault) => {
                        format!("faulted: {}", serde_json::to_string(fault).expect("json"))
                    }
                    Outcome::Cancelled => "cancelled".to_owned(),
                };
                self.outcome = Some(outcome);
                words
            }
        };
        let _ = writeln!(self.story, "    < {words}");
    }

    /// Answers the oldest call.
    pub(crate) fn answer(&mut self, status: u16, body: Value) -> bool {
        let (op, call) = self.calls.pop_front().expect("a call is pending");
        let headers = json!({"content-type": "application/json"});
        self.apply(Input::Done {
            op,
            value: json!({"status": status, "headers": headers, "body": body, "uri": call.uri}),
        })
    }

    /// Lets the oldest call fail without an answer.
    pub(crate) fn refuse(&mut self, detail: &str) -> bool {
        let (op, _) = self.calls.pop_front().expect("a call is pending");
        self.apply(Input::Failed { op, error: Fault::new(FaultKind::Communication, detail) })
    }

    /// Confirms the oldest emission.
    pub(crate) fn sent(&mut self) -> bool {
        let (op, mut event) = self.emits.pop_front().expect("an emission is pending");
        event["id"] = json!("event-1");
        self.apply(Input::Done { op, value: event })
    }

    /// Lets the next timer fire at its time.
    pub(crate) fn tick(&mut self) -> bool {
        let (op, at) = self
            .timers
            .iter()
            .map(|(op, at)| (*op, *at))
            .min_by_key(|(op, at)| (*at, *op))
            .expect("a timer is set");
        self.timers.remove(&op);
        self.now = self.now.max(at);
        self.apply(Input::Fired { op })
    }

    /// Sends an event, if a listener wants it.
    pub(crate) fn event(&mut self, id: &str, kind: &str, data: Value) -> bool {
        let event =
            json!({"specversion": "1.0", "id": id, "source": "https://test", "type": kind, "data": data});
        let wanted = |filters: &Vec<Arc<EventFilter>>| {
            filters.is_empty() || filters.iter().any(|filter| filter.matches(&event) == Match::Yes)
        };
        if !self.listens.values().any(wanted) {
            let _ = writeln!(self.story, "+{} event {id} {kind} wanted by nobody", self.now - START);
            return false;
        }
        self.apply(Input::Signal { event })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn status(&self) -> Status {
        self.run.status()
    }

    pub(crate) fn output(&self) -> &Value {
        match &self.outcome {
            Some(Outcome::Completed(output)) => output,
            other => panic!("not completed: {other:?}\n{}", self.story),
        }
    }

    pub(crate) fn fault(&self) -> &Fault {
        match &self.outcome {
            Some(Outcome::Faulted(fault)) => fault,
            other => panic!("not faulted: {other:?}\n{}", self.story),
        }
    }

    /// The story and the tasks of the run; replaying must give the same run.
    pub(crate) fn golden(&self) -> String {
        let (run, tasks) = history(&self.def, self.journal.clone());
        assert_eq!(run, self.run, "replaying gives the same run");
        let mut golden = format!("{}\nstatus: {}\n", self.story, self.run.status().as_str());
        for task in tasks {
            let _ = writeln!(
                golden,
                "{}",
                serde_json::to_string(&task).expect("json").replace(&START.to_string()[..8], "T")
            );
        }
        golden
    }
}
