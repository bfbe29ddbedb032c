//! What runs and their tasks live through, told as the specification's lifecycle events.
//!
//! Invariant: an event is a signal in the commit of what it tells, and is only made when somebody of the tenant asks
//! for its type. A run that such an event started, or that such a run started, tells nothing: nobody feeds himself.
//! Not here: the spine; who waits for signals (`listeners`).

use crate::actions::veil::mask;
use crate::batch::Batch;
use crate::driver::Driver;
use crate::registry::Registry;
use crate::spine::{Admitted, Draft, Spine};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::signal::{Attributes, SignalName, rfc3339};
use openevent_domain::tenant::Tenant;
use openevent_flow::{
    Command, Definition, Happened, Input, Outcome, Run, Status, Step, TaskChange, TaskStart, Tracer,
};
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
    fn of(definition: &Definition, id: &RunId) -> Self {
        let (name, namespace) = (definition.name(), definition.namespace());
        Self { workflow: format!("{name}-{id}.{namespace}"), told: Vec::new() }
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
        let lifecycle = self.settings.lifecycle;
        is_heard(lifecycle, &self.registry, &self.audience)
            || (lifecycle == Lifecycle::Listened && self.listeners.hear_lifecycle())
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
        let (step, told) = tell(&mut live.run, &live.definition, &live.id, now, input.clone());
        let tenant = live.tenant.clone();
        for (name, data) in told {
            self.raise(&tenant, &format!("{PREFIX}{name}.v1"), data, batch);
        }
        Some(step)
    }

    fn raise(&self, tenant: &Tenant, name: &str, data: Map<String, Value>, batch: &mut Batch) {
        let audience = (&*self.registry, &*self.audience);
        if is_wanted(self.settings.lifecycle, audience, tenant, name)
            || !self.listeners.of(tenant, name).is_empty()
        {
            batch.signals(raise(&self.spine, tenant, name, data, batch.now));
        }
    }
}

/// Whether a workflow, a webhook or a stream asks for a lifecycle event.
pub(crate) fn is_wanted(
    lifecycle: Lifecycle,
    (registry, audience): (&Registry, &Audience),
    tenant: &Tenant,
    name: &str,
) -> bool {
    lifecycle == Lifecycle::All
        || !registry.listeners(tenant, name).is_empty()
        || registry.webhooks().want(tenant, name)
        || audience.wants(tenant, name)
}

/// Whether anybody at all might hear what runs live through, but for runs that listen.
pub(crate) fn is_heard(lifecycle: Lifecycle, registry: &Registry, audience: &Audience) -> bool {
    match lifecycle {
        Lifecycle::Off => false,
        Lifecycle::All => true,
        Lifecycle::Listened => {
            registry.hears_lifecycle() || registry.webhooks().hear_lifecycle() || !audience.is_empty()
        }
    }
}

/// The signal of a lifecycle event, unless it does not fit who listens to it.
pub(crate) fn raise(
    spine: &Spine,
    tenant: &Tenant,
    name: &str,
    data: Map<String, Value>,
    now: Millis,
) -> Option<Admitted> {
    let (Ok(name), Value::Object(payload)) = (SignalName::parse(name), mask(Value::Object(data))) else {
        return None;
    };
    let attributes = Attributes::default();
    let draft = Draft { tenant: tenant.clone(), name, payload, attributes, replay_of: None };
    let admitted = spine.admit(draft, now);
    admitted
        .map_err(|refusal| tracing::debug!(?refusal, "a lifecycle event does not fit who listens to it"))
        .ok()
}

/// What a run lived through: types without their common parts, with their data.
pub(crate) type Told = Vec<(String, Map<String, Value>)>;

/// Lets a run take one step and tells what it lived through: types without their common parts, with their data.
pub(crate) fn tell(
    run: &mut Run,
    definition: &Definition,
    id: &RunId,
    now: Millis,
    input: Input,
) -> (Step, Told) {
    let mut tale = Tale::of(definition, id);
    let (begins, before) = (matches!(input, Input::Started { .. }), run.status());
    let step = run.apply_traced(definition, now, input, &mut tale);
    if !step.accepted {
        return (step, Vec::new());
    }
    if begins {
        let (name, namespace) = (definition.name(), definition.namespace());
        let definition = json!({"name": name, "namespace": namespace, "version": definition.version()});
        let mut rest = std::mem::take(&mut tale.told);
        tale.workflow("started", "startedAt", now, Some(("definition", definition)));
        tale.told.append(&mut rest);
    }
    let after = run.status();
    if before != Status::Suspended && after == Status::Suspended {
        tale.workflow("suspended", "suspendedAt", now, None);
    }
    if before == Status::Suspended && after != Status::Suspended && !after.is_final() {
        tale.workflow("resumed", "resumedAt", now, None);
    }
    if let Some(Command::Finish(outcome)) = step.commands.last() {
        tale.outcome(outcome, now);
    }
    if before != after {
        tale.workflow("status-changed", "updatedAt", now, Some(("status", json!(after))));
    }
    (step, tale.told)
}
