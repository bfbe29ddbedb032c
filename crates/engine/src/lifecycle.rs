//! What runs and their tasks live through, told as the specification's lifecycle events.
//!
//! Invariant: an event is a signal in the commit of what it tells, and is only made when somebody of the tenant asks
//! for its type. A run that such an event started, or that such a run started, tells nothing: nobody feeds himself.
//! Not here: the spine; who waits for signals (`listeners`).

use crate::actions::veil::mask;
use crate::batch::Batch;
use crate::driver::Driver;
use crate::live::Live;
use crate::spine::Draft;
use openevent_domain::ambient::Millis;
use openevent_domain::signal::{Attributes, SignalName, rfc3339};
use openevent_domain::tenant::Tenant;
use openevent_flow::{Command, Happened, Input, Outcome, Status, Step, TaskChange, TaskStart, Tracer};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the types of all lifecycle events begin with.
pub const PREFIX: &str = "io.serverlessworkflow.";
/// Marks what a run that tells nothing of its life emits.
pub(crate) const QUIET: &str = "openeventquiet";

/// Which lifecycle events there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    /// Those whose type somebody of the tenant asks for.
    #[default]
    Listened,
    /// All of them.
    All,
    /// None.
    Off,
}

/// Streams that are open and ask for lifecycle events.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    open: AtomicUsize,
    wanted: Mutex<Vec<(Tenant, String)>>,
}

/// One stream; it counts until it is dropped.
#[derive(Debug)]
pub struct Seat {
    audience: Arc<Audience>,
    tenant: Tenant,
    names: String,
}

impl Audience {
    pub(crate) fn seat(self: &Arc<Self>, tenant: &Tenant, names: &str) -> Seat {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.wanted.lock().push((tenant.clone(), names.to_owned()));
        Seat { audience: Arc::clone(self), tenant: tenant.clone(), names: names.to_owned() }
    }

    fn is_empty(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    fn wants(&self, tenant: &Tenant, name: &str) -> bool {
        let asked =
            |names: &str| names.strip_suffix('*').map_or(names == name, |stem| name.starts_with(stem));
        !self.is_empty() && self.wanted.lock().iter().any(|(of, names)| of == tenant && asked(names))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut wanted = self.audience.wanted.lock();
        if let Some(at) = wanted.iter().position(|(of, names)| *of == self.tenant && *names == self.names) {
            wanted.swap_remove(at);
        }
        self.audience.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether this is the type of a lifecycle event.
pub(crate) fn is_lifecycle(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Whether a run that these events start tells nothing of its life.
pub(crate) fn starts_quietly(input: &Value) -> bool {
    input.as_array().is_some_and(|events| {
        events.iter().any(|event| {
            event["type"].as_str().is_some_and(is_lifecycle) || event.get(QUIET) == Some(&Value::Bool(true))
        })
    })
}

/// What an input made a run live through: types without their common parts, with their data.
#[derive(Debug, Default)]
struct Tale {
    workflow: String,
    told: Vec<(String, Map<String, Value>)>,
}

impl Tale {
    fn of(live: &Live) -> Self {
        let (name, namespace) = (live.definition.name(), live.definition.namespace());
        Self { workflow: format!("{name}-{}.{namespace}", live.id), told: Vec::new() }
    }

    fn workflow(&mut self, verb: &str, at_name: &str, at: Millis, more: Option<(&str, Value)>) {
        let named = [("name".to_owned(), json!(self.workflow)), (at_name.to_owned(), json!(rfc3339(at)))];
        let more = more.map(|(name, value)| (name.to_owned(), value));
        self.told.push((format!("workflow.{verb}"), named.into_iter().chain(more).collect()));
    }

    fn task(&mut self, verb: &str, reference: &str, at_name: &str, at: Millis, more: Option<(&str, Value)>) {
        let named = [
            ("workflow".to_owned(), json!(self.workflow)),
            ("task".to_owned(), json!(reference)),
            (at_name.to_owned(), json!(rfc3339(at))),
        ];
        let more = more.map(|(name, value)| (name.to_owned(), value));
        self.told.push((format!("task.{verb}"), named.into_iter().chain(more).collect()));
    }

    fn outcome(&mut self, outcome: &Outcome, at: Millis) {
        match outcome {
            Outcome::Completed(output) => {
                self.workflow("completed", "completedAt", at, Some(("output", output.clone())));
            }
            Outcome::Faulted(fault) => {
                self.workflow("faulted", "faultedAt", at, Some(("error", json!(fault))));
            }
            Outcome::Cancelled => self.workflow("cancelled", "cancelledAt", at, None),
        }
    }
}

impl Tracer for Tale {
    fn started(&mut self, start: &TaskStart<'_>, now: i64) {
        self.task("created", start.reference, "createdAt", now, None);
        self.task("started", start.reference, "startedAt", now, None);
        self.task("status-changed", start.reference, "updatedAt", now, Some(("status", json!("running"))));
    }

    fn changed(&mut self, change: &TaskChange<'_>, now: i64) {
        let reference = change.reference;
        match change.happened {
            Happened::Waits => {}
            Happened::Suspended => self.task("suspended", reference, "suspendedAt", now, None),
            Happened::Resumed(_) => self.task("resumed", reference, "resumedAt", now, None),
            Happened::Retried(_) => self.task("retried", reference, "retriedAt", now, None),
            Happened::Cancelled => self.task("cancelled", reference, "cancelledAt", now, None),
            Happened::Faulted(fault) => {
                self.task("faulted", reference, "faultedAt", now, Some(("error", json!(fault))));
            }
            Happened::Completed(output) => {
                self.task("completed", reference, "completedAt", now, Some(("output", output.to_json())));
            }
        }
        let status = json!(change.happened.status());
        self.task("status-changed", reference, "updatedAt", now, Some(("status", status)));
    }

    fn correlating(&mut self, now: i64) {
        self.workflow("correlation-started", "startedAt", now, None);
    }

    fn correlated(&mut self, keys: &[(String, Value)], now: i64) {
        let keys: Map<String, Value> = keys.iter().cloned().collect();
        let keys = Some(keys).filter(|keys| !keys.is_empty());
        let keys = keys.map(|keys| ("correlationKeys", Value::Object(keys)));
        self.workflow("correlation-completed", "completedAt", now, keys);
    }
}

impl Driver {
    /// Whether anybody at all might hear what runs live through.
    pub(crate) fn is_heard(&self) -> bool {
        match self.settings.lifecycle {
            Lifecycle::Off => false,
            Lifecycle::All => true,
            Lifecycle::Listened => {
                self.registry.hears_lifecycle()
                    || self.registry.webhooks().hear_lifecycle()
                    || self.listeners.hear_lifecycle()
                    || !self.audience.is_empty()
            }
        }
    }

    /// Lets a run take one step, and tells of it whom it concerns. `None`: it tells nothing of its life.
    pub(crate) fn told_step(
        &mut self,
        handle: u64,
        now: Millis,
        input: &Input,
        batch: &mut Batch,
    ) -> Option<Step> {
        let live = self.runs.get_mut(&handle).filter(|live| !live.quiet)?;
        let mut tale = Tale::of(live);
        let (begins, before) = (matches!(input, Input::Started { .. }), live.run.status());
        let step = live.run.apply_traced(&live.definition, now, input.clone(), &mut tale);
        if let (true, Some(live)) = (step.accepted, self.runs.get(&handle)) {
            self.tell(live, tale, &Turn { begins, before, commands: &step.commands }, batch);
        }
        Some(step)
    }

    /// Adds what became of the run as a whole, and puts what somebody asks for on the spine.
    fn tell(&self, live: &Live, mut tale: Tale, turn: &Turn<'_>, batch: &mut Batch) {
        let now = batch.now;
        if turn.begins {
            let (name, namespace) = (live.definition.name(), live.definition.namespace());
            let definition =
                json!({"name": name, "namespace": namespace, "version": live.definition.version()});
            let mut rest = std::mem::take(&mut tale.told);
            tale.workflow("started", "startedAt", now, Some(("definition", definition)));
            tale.told.append(&mut rest);
        }
        let after = live.run.status();
        if turn.before != Status::Suspended && after == Status::Suspended {
            tale.workflow("suspended", "suspendedAt", now, None);
        }
        if turn.before == Status::Suspended && after != Status::Suspended && !after.is_final() {
            tale.workflow("resumed", "resumedAt", now, None);
        }
        if let Some(Command::Finish(outcome)) = turn.commands.last() {
            tale.outcome(outcome, now);
        }
        if turn.before != after {
            tale.workflow("status-changed", "updatedAt", now, Some(("status", json!(after))));
        }
        for (name, data) in tale.told {
            self.raise(&live.tenant, &format!("{PREFIX}{name}.v1"), data, batch);
        }
    }

    fn raise(&self, tenant: &Tenant, name: &str, data: Map<String, Value>, batch: &mut Batch) {
        let is_wanted = self.settings.lifecycle == Lifecycle::All
            || !self.registry.listeners(tenant, name).is_empty()
            || self.registry.webhooks().want(tenant, name)
            || !self.listeners.of(tenant, name).is_empty()
            || self.audience.wants(tenant, name);
        let (true, Ok(name), Value::Object(payload)) =
            (is_wanted, SignalName::parse(name), mask(Value::Object(data)))
        else {
            return;
        };
        let attributes = Attributes::default();
        let draft = Draft { tenant: tenant.clone(), name, payload, attributes, replay_of: None };
        match self.spine.admit(draft, batch.now) {
            Ok(admitted) => batch.signal(admitted),
            Err(refusal) => tracing::debug!(?refusal, "a lifecycle event does not fit who listens to it"),
        }
    }
}

/// One input's way through a run.
struct Turn<'t> {
    begins: bool,
    before: Status,
    commands: &'t [Command],
}
