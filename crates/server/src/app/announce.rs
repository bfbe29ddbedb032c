//! Raising the server's own signals: what changed here is told in the commit that changes it.
//!
//! Invariant: an announcement is in the write set of its change, with the runs it starts; it cannot be refused, so
//! a workflow or a catalogued schema never stands in the way of a change. Its payload is what the domain's `told`
//! describes; builds with debug assertions, the tests' among them, hold every single one to that.
//! Not here: signals from outside (see `signals`).

use crate::face::problem::Problem;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::signal::{Attributes, SignalName};
use openevent_domain::tenant::Tenant;
use openevent_domain::told::told;
use openevent_engine::Draft;
use openevent_flow::Schema;
use openevent_store::WriteSet;
use serde_json::{Map, Value};

/// Adds a signal about `subject` to a set.
pub fn announce(
    app: &App,
    set: &mut WriteSet,
    tenant: &Tenant,
    name: &str,
    subject: &str,
    payload: Map<String, Value>,
    now: Millis,
) -> Result<(), Problem> {
    debug_assert!(is_as_described(name, &payload), "{name} says {payload:?}");
    let name = SignalName::parse(name).map_err(Problem::internal)?;
    let attributes = Attributes(Map::from_iter([("subject".to_owned(), subject.into())]));
    let draft = Draft { tenant: tenant.clone(), name, payload, attributes, replay_of: None };
    app.engine.spine().announce(draft, now).write(set);
    Ok(())
}

/// What is told of something: the members of an object that are there.
pub fn present(told: &Value) -> Map<String, Value> {
    let told = told.as_object().cloned().unwrap_or_default();
    told.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// Whether a payload has the members its schema names and no others, as the schema says. A name that is not built in
/// has no description.
fn is_as_described(name: &str, payload: &Map<String, Value>) -> bool {
    let Some(told) = told(name) else { return true };
    let is_named = payload.keys().all(|member| told.schema["properties"].get(member).is_some());
    let schema = Schema::compile(&told.schema);
    is_named && schema.is_ok_and(|schema| schema.check(&Value::Object(payload.clone())).is_ok())
}
