//! The spine: a message is checked, matched and turned into the rows of one commit.
//!
//! Invariant: no I/O. Everything a signal owes, runs and deliveries, is in the same [`WriteSet`] as the signal.
//! Not here: writing the set; starting the runs and sending the deliveries (who does hears of them from the commit).

use crate::registry::{Registry, Workflow};
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::{RunId, SignalId};
use openevent_domain::signal::{Attributes, SignalName, cloud_event};
use openevent_domain::tenant::Tenant;
use openevent_flow::{Match, SchemaError};
use openevent_store::gathered::GatheredEvent;
use openevent_store::{NewDelivery, NewRun, NewSignal, TriggerRecord, WriteSet};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::sync::Arc;

/// A message that wants to become a signal.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose it will be.
    pub tenant: Tenant,
    /// Its name.
    pub name: SignalName,
    /// Its payload.
    pub payload: Map<String, Value>,
    /// The sender's CloudEvents attributes.
    pub attributes: Attributes,
    /// The signal it repeats.
    pub replay_of: Option<SignalId>,
}

/// One thing that is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldIssue {
    /// Where: `name`, `payload`, `payload.orderId`, …
    pub field: String,
    /// What.
    pub issue: String,
}

/// Why a message was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Vec<FieldIssue>);

/// A signal with all it owes, not written yet.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The signal.
    pub signal: Arc<NewSignal>,
    /// The runs it starts.
    pub runs: Vec<Arc<NewRun>>,
    /// Where it is kept until others have come.
    pub kept: Vec<GatheredEvent>,
    /// What webhooks get of it.
    pub owed: Vec<Arc<NewDelivery>>,
}

impl Admitted {
    /// Adds the rows to a set.
    pub fn write(&self, set: &mut WriteSet) {
        set.add_signal(Arc::clone(&self.signal));
        for run in &self.runs {
            set.add_run(Arc::clone(run));
        }
        self.kept.iter().for_each(|kept| set.keep_event(kept));
        self.owed.iter().for_each(|owed| set.add_delivery(Arc::clone(owed)));
    }
}

/// Where every signal passes.
#[derive(Clone, Debug)]
pub struct Spine {
    registry: Arc<Registry>,
    chance: Arc<dyn Chance>,
}

impl Spine {
    /// A spine over the workflows there are.
    pub fn new(registry: Arc<Registry>, chance: Arc<dyn Chance>) -> Self {
        Self { registry, chance }
    }

    /// Matches a message and checks it against the input schema of every workflow it would start.
    pub fn admit(&self, draft: Draft, now: Millis) -> Result<Admitted, Refusal> {
        self.matched(draft, now, Self::consult)
    }

    /// Matches a message about something that is already decided here. Nobody can refuse it: a workflow whose input
    /// schema does is not started, and the trigger says why.
    pub fn announce(&self, draft: Draft, now: Millis) -> Admitted {
        let consulted = self.matched(draft, now, |workflow, input| -> Result<_, Infallible> {
            Ok(Self::consult(workflow, input).unwrap_or_else(|Refusal(issues)| {
                let issue = issues.first().map(|issue| format!(": {} {}", issue.field, issue.issue));
                let reason = format!("its input schema refuses the event{}", issue.unwrap_or_default());
                TriggerRecord { workflow: workflow.path(), matched: false, reason: Some(reason) }
            }))
        });
        match consulted {
            Ok(admitted) => admitted,
            Err(never) => match never {},
        }
    }

    fn matched<E>(
        &self,
        draft: Draft,
        now: Millis,
        consult: impl Fn(&Workflow, &Arc<Value>) -> Result<TriggerRecord, E>,
    ) -> Result<Admitted, E> {
        let id = SignalId::mint(now, self.chance.as_ref());
        let Draft { tenant, name, payload, attributes, replay_of } = draft;
        let payload = Value::Object(payload);
        let listeners = self.registry.listeners(&tenant, name.as_str());
        let text = payload.to_string();
        let mut triggers = Vec::with_capacity(listeners.len());
        let (mut runs, mut kept) = (Vec::new(), Vec::new());
        if !listeners.is_empty() {
            let event = cloud_event(id.as_str(), name.as_str(), payload, &attributes, now);
            let input = Arc::new(Value::Array(vec![event]));
            for workflow in &listeners {
                let trigger = consult(workflow, &input)?;
                if trigger.matched && gathers(workflow) {
                    kept.push(Self::keep(&tenant, workflow, &id, &input, now));
                } else if trigger.matched {
                    runs.push(Arc::new(self.run(&tenant, workflow, Some(&id), Arc::clone(&input), now)));
                }
                triggers.push(trigger);
            }
        }
        let name = name.as_str().to_owned();
        let signal =
            NewSignal { id, tenant, name, payload: text, attributes, received_at: now, replay_of, triggers };
        let signal = Arc::new(signal);
        let owed = self.registry.webhooks().owed(&signal, self.chance.as_ref(), now);
        Ok(Admitted { signal, runs, kept, owed })
    }

    /// A run started by hand.
    pub fn start_by_hand(
        &self,
        tenant: &Tenant,
        workflow: &Workflow,
        input: Value,
        now: Millis,
    ) -> Result<NewRun, Refusal> {
        workflow.definition.check_input(&input).map_err(|errors| refusal(errors, "input"))?;
        Ok(self.run(tenant, workflow, None, Arc::new(input), now))
    }

    fn consult(workflow: &Workflow, input: &Arc<Value>) -> Result<TriggerRecord, Refusal> {
        let events = input.as_array().map(Vec::as_slice).unwrap_or_default();
        let filters = workflow.definition.trigger().map(openevent_flow::Trigger::filters).unwrap_or_default();
        let mut reason = None;
        let mut matched = filters.is_empty();
        for filter in filters {
            match events.first().map(|event| filter.matches(event)) {
                Some(Match::Yes) => matched = true,
                Some(Match::No(why)) => reason = reason.or(Some(why)),
                None => {}
            }
        }
        if matched && !gathers(workflow) {
            workflow.definition.check_events(events).map_err(|errors| refusal(errors, "payload"))?;
        }
        let reason = reason.filter(|_| !matched);
        Ok(TriggerRecord { workflow: workflow.path(), matched, reason })
    }

    fn keep(
        tenant: &Tenant,
        workflow: &Workflow,
        signal: &SignalId,
        input: &Value,
        now: Millis,
    ) -> GatheredEvent {
        let event = Arc::new(input.get(0).cloned().unwrap_or_default());
        GatheredEvent { path: workflow.place(tenant), signal_id: signal.clone(), received_at: now, event }
    }

    /// A run of this workflow; with an event, one that the event starts.
    pub(crate) fn run(
        &self,
        tenant: &Tenant,
        workflow: &Workflow,
        event: Option<&SignalId>,
        input: Arc<Value>,
        now: Millis,
    ) -> NewRun {
        NewRun {
            id: RunId::mint(now, self.chance.as_ref()),
            tenant: tenant.clone(),
            namespace: workflow.namespace.clone(),
            name: workflow.name.clone(),
            version: workflow.version.clone(),
            definition_hash: workflow.hash.clone(),
            semantics: openevent_flow::SEMANTICS.into(),
            event_id: event.cloned(),
            input,
            by_events: event.is_some(),
            started_at: now,
            parent: None,
        }
    }
}

/// Whether a workflow starts only when several events have come.
fn gathers(workflow: &Workflow) -> bool {
    workflow.definition.trigger().is_some_and(|trigger| !trigger.is_immediate())
}

/// Schema errors in the words of the API: `payload.items.0.price` rather than `/0/data/items/0/price`.
pub(crate) fn refusal(errors: Vec<SchemaError>, root: &str) -> Refusal {
    let field = |path: &str| {
        let inner = path.strip_prefix("/0/data").unwrap_or(path);
        let parts = inner
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| part.replace("~1", "/").replace("~0", "~"));
        std::iter::once(root.to_owned()).chain(parts).collect::<Vec<_>>().join(".")
    };
    Refusal(
        errors
            .into_iter()
            .map(|error| FieldIssue { field: field(&error.path), issue: error.issue })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_paths_are_told_in_the_callers_words() {
        let error = |path: &str| SchemaError { path: path.to_owned(), issue: "is wrong".to_owned() };
        let Refusal(issues) =
            refusal(vec![error("/0/data/items/0/price"), error(""), error("/orderId")], "payload");
        let fields: Vec<_> = issues.iter().map(|issue| issue.field.as_str()).collect();
        assert_eq!(fields, ["payload.items.0.price", "payload", "payload.orderId"]);
    }
}
