//! Drives one run without a clock, a thread or a disk: inputs go in; calls, timers and turns to be written come out.
//!
//! Invariant: deterministic. The same opening, the same inputs at the same times and the same answers give the same
//! undertakings in the same order, whoever calls and however often.
//! Not here: performing anything, waiting for anything (the cluster's driver does), writing turns (`desk`).

use super::turn::{Emission, Ended, Entry, Listening, Offspring, Ready, Tale, Turn, Turned};
use crate::lifecycle;
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_flow::{Call, Command, Definition, Input, Run, Status};
use openevent_store::audit::AuditRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something the driver has to see to.
#[expect(clippy::large_enum_variant, reason = "almost all are calls, and none lives long")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undertaking {
    /// Perform a call; its answer is an input.
    Call {
        /// The operation.
        op: u64,
        /// What to call.
        call: Call,
        /// The run's `$secrets`: stand-ins, never values.
        secrets: Option<Value>,
    },
    /// Answer with `Fired` when the time has come.
    Timer {
        /// The operation.
        op: u64,
        /// When.
        at: Millis,
    },
    /// A call or timer is no longer wanted.
    Abandon {
        /// The operation.
        op: u64,
    },
}

/// One run under way.
#[derive(Debug)]
pub struct Pilot {
    id: RunId,
    definition: Arc<Definition>,
    run: Run,
    seq: i64,
    quiet: bool,
    heard: bool,
    marked: Status,
    turn: Turn,
    listening: BTreeSet<u64>,
    raising: BTreeSet<u64>,
    undertakings: Vec<Undertaking>,
}

impl Pilot {
    /// A run that sets out at this time. What it undertakes at once is in [`Pilot::undertakings`].
    pub fn set_out(ready: Ready, definition: Arc<Definition>, now: Millis) -> Self {
        let Ready { run: id, input, by_events, first_at, quiet, state, seq, heard, .. } = ready;
        let is_new = state.is_none();
        let mut pilot = Self {
            definition,
            run: state.unwrap_or_default(),
            seq,
            quiet,
            heard,
            // Opening a run marks it.
            marked: Status::Running,
            turn: Turn::default(),
            listening: BTreeSet::new(),
            raising: BTreeSet::new(),
            undertakings: Vec::new(),
            id,
        };
        pilot.turn.at = now;
        if is_new {
            let run_id = pilot.id.as_str().to_owned();
            pilot.apply(Input::Started { input, run_id, by_events }, first_at);
        } else {
            for command in pilot.run.outstanding(&pilot.definition) {
                pilot.sort(command);
            }
        }
        pilot
    }

    /// Takes in what happened. `true`: it changed something.
    pub fn take(&mut self, input: Input, now: Millis) -> bool {
        self.turn.at = self.turn.at.max(now);
        self.apply(input, self.turn.at)
    }

    /// Takes in what somebody wants; what it changes is written together with `act`.
    pub fn steer(&mut self, input: Input, act: Option<AuditRecord>, now: Millis) -> bool {
        let changed = self.take(input, now);
        if changed {
            self.turn.acts.extend(act);
        }
        changed
    }

    /// Takes in what writing a turn answered.
    pub fn turned(&mut self, turned: Turned, now: Millis) {
        self.heard = turned.heard;
        for answer in turned.answers {
            self.take(answer, now);
        }
    }

    /// What has come up to be seen to since the last call, in order.
    pub fn undertakings(&mut self) -> Vec<Undertaking> {
        std::mem::take(&mut self.undertakings)
    }

    /// What has come up to be written since the last call.
    pub fn turn(&mut self) -> Option<Turn> {
        let status = self.run.status();
        if status != self.marked && !status.is_final() {
            self.turn.mark = Some(status);
        }
        self.marked = status;
        if self.turn.is_empty() {
            return None;
        }
        let next = Turn { number: self.turn.number + 1, at: self.turn.at, ..Turn::default() };
        Some(std::mem::replace(&mut self.turn, next))
    }

    /// Whether the run has ended.
    pub fn is_finished(&self) -> bool {
        self.run.is_finished()
    }

    fn apply(&mut self, input: Input, at: Millis) -> bool {
        let begins = matches!(input, Input::Started { .. });
        let journalled = (!begins).then(|| input.clone());
        let step = if self.heard && !self.quiet {
            let (step, tales) = lifecycle::tell(&mut self.run, &self.definition, &self.id, at, input);
            self.turn.tales.extend(tales.into_iter().map(|(name, data)| Tale { name, data }));
            step
        } else {
            self.run.apply(&self.definition, at, input)
        };
        if !step.accepted {
            return false;
        }
        if let Some(input) = journalled {
            self.seq += 1;
            self.turn.entries.push(Entry { seq: self.seq, at, input });
        }
        for command in step.commands {
            self.sort(command);
        }
        true
    }

    /// What is written goes into the turn, what is done elsewhere to the undertakings.
    fn sort(&mut self, command: Command) {
        match command {
            Command::Call { op, call } => {
                self.undertakings.push(Undertaking::Call { op, call, secrets: self.run.secrets() });
            }
            Command::Timer { op, at } => self.undertakings.push(Undertaking::Timer { op, at }),
            Command::Listen { op, filters, since } => {
                let mut names: Vec<Option<String>> =
                    filters.iter().map(|filter| filter.event_type().map(str::to_owned)).collect();
                if names.is_empty() {
                    names.push(None);
                }
                self.listening.insert(op);
                self.turn.listens.push(Listening { op, names, since });
            }
            Command::Emit { op, event } => self.turn.emissions.push(Emission { op, event }),
            Command::Child { op, child } => {
                self.raising.insert(op);
                self.turn.children.push(Offspring { op, child });
            }
            Command::Abandon { op } => self.abandon(op),
            Command::Finish(outcome) => self.turn.ended = Some(Ended(outcome)),
        }
    }

    fn abandon(&mut self, op: u64) {
        if self.listening.remove(&op) {
            self.turn.unlistens.push(op);
        } else if self.raising.remove(&op) {
            self.turn.abandoned.push(op);
        } else {
            self.undertakings.push(Undertaking::Abandon { op });
        }
    }
}
