//! What a run needs as a whole, outside of any task: its secrets, and the events that cancel it.
//!
//! Invariant: a secret in here is a stand-in. An event from before the run began does not cancel it, however far the
//! driver looks back. Not here: where secrets are, and reading `cancelOn` (`parse`).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::env::{Env, iso8601};
use super::machine::Machine;
use super::state::{Before, Body, Cancelling, Pending};
use crate::event::{Bound, EventFilter, FilterSpec, Match};
use crate::jq::{Members, Scope, Val};
use crate::{Call, Command, Definition, Outcome};

/// Characters of a time up to the second.
const TO_THE_SECOND: usize = 19;

/// Asks for the secrets a definition declares.
pub(super) fn secrets(def: &Definition, op: u64) -> Command {
    Command::Call { op, call: Call::Secrets { names: def.model.secrets.clone() } }
}

/// The listen a run has as a whole.
pub(super) fn cancel(def: &Definition, body: &Body, op: u64) -> Option<Command> {
    let cancel = body.cancel.as_ref()?;
    Some(Command::Listen { op, filters: filters(def, cancel).collect(), since: cancel.since })
}

fn filters(def: &Definition, cancel: &Cancelling) -> impl Iterator<Item = Arc<EventFilter>> {
    let filter = |spec: &Arc<FilterSpec>| {
        Arc::new(EventFilter { spec: spec.clone(), bound: Bound(cancel.bound.clone()) })
    };
    def.model.cancel_on.iter().map(filter)
}

impl Machine<'_> {
    // ---- secrets

    /// Whether the definition declares secrets of which not all are there.
    pub(super) fn lacks_secrets(&self) -> bool {
        let known =
            |name: &String| self.body.secrets.as_ref().is_some_and(|secrets| secrets.get(name).is_some());
        !self.def.model.secrets.iter().all(known)
    }

    pub(super) fn ask_for_secrets(&mut self, before: Before) {
        let op = self.next_op();
        self.body.open(op, Pending::Secrets { before });
        self.command(secrets(self.def, op));
    }

    /// Keeps the stand-ins; those known already stay as they are, since data may hold them.
    pub(super) fn keep_secrets(&mut self, given: &Val) {
        let mut members = match given {
            Val::Obj(given) => given.members().clone(),
            _ => Members::new(),
        };
        members.retain(|name, _| self.def.model.secrets.contains(name));
        if let Some(Val::Obj(known)) = &self.body.secrets {
            members.extend(known.members().iter().map(|(name, val)| (name.clone(), val.clone())));
        }
        self.body.secrets = Some(Val::obj(members));
    }

    // ---- events that cancel

    pub(super) fn listen_for_cancel(&mut self) {
        if self.def.model.cancel_on.is_empty() {
            return;
        }
        let names: BTreeSet<String> = self.def.model.cancel_on.iter().flat_map(|spec| spec.vars()).collect();
        let env = Env::of_run(self.def, &self.body);
        let bound = names.into_iter().map(|name| (name.clone(), env.var(&name))).collect();
        self.body.cancel = Some(Cancelling { since: self.now, bound });
        let op = self.next_op();
        self.body.open(op, Pending::Cancel);
        if let Some(command) = cancel(self.def, &self.body, op) {
            self.command(command);
        }
    }

    pub(super) fn is_cancelled_by(&self, event: &Val) -> bool {
        let Some(cancel) = &self.body.cancel else { return false };
        !self.body.has_consumed(event)
            && !is_older(event, self.body.started_at)
            && filters(self.def, cancel).any(|filter| filter.matches_val(event) == Match::Yes)
    }

    /// Ends the run if the event cancels it.
    pub(super) fn cancel_by(&mut self, event: &Val) -> bool {
        let is_cancelled = self.is_cancelled_by(event);
        if is_cancelled {
            self.end(Outcome::Cancelled);
        }
        is_cancelled
    }
}

/// Whether an event says, in UTC, that it is from an earlier second.
fn is_older(event: &Val, than: i64) -> bool {
    let said = event.get("time").and_then(Val::as_str).filter(|time| time.ends_with('Z'));
    let said = said.and_then(|time| time.get(..TO_THE_SECOND));
    said.is_some_and(|said| *said < iso8601(than)[..TO_THE_SECOND])
}
