//! What a run emits, put on the spine in the commit of the input that made it emit.
//!
//! Invariant: the answer to an emission is journalled with the signal itself, so neither is there without the other.
//! Not here: the spine.

use crate::batch::Batch;
use crate::driver::event_of;
use crate::lifecycle::QUIET;
use crate::live::Live;
use crate::spine::{Admitted, Draft, Refusal, Spine};
use openevent_domain::ambient::Millis;
use openevent_domain::signal::{Attributes, SignalName};
use openevent_domain::tenant::Tenant;
use openevent_flow::{Fault, FaultKind, Input};
use serde_json::{Map, Value};

/// Puts an emitted event on the spine; the answer is the event as sent, or why it was not.
pub(crate) fn emit(spine: &Spine, live: &Live, op: u64, event: Value, batch: &mut Batch) -> Input {
    match admitted(spine, (&live.tenant, live.quiet), event, batch.now) {
        Ok(admitted) => {
            let value = event_of(&admitted.signal);
            batch.signal(admitted);
            Input::Done { op, value }
        }
        Err(error) => Input::Failed { op, error },
    }
}

/// An emitted event, matched; not written yet.
pub(crate) fn admitted(
    spine: &Spine,
    (tenant, is_quiet): (&Tenant, bool),
    event: Value,
    now: Millis,
) -> Result<Admitted, Fault> {
    // Whoever listens to it is not meant to see what stands for a secret.
    let draft = draft(tenant, crate::mask(event), is_quiet)?;
    spine.admit(draft, now).map_err(|refusal: Refusal| {
        let words = refusal.0.iter().map(|issue| format!("{}: {}", issue.field, issue.issue));
        Fault::new(FaultKind::Validation, words.collect::<Vec<_>>().join("; "))
    })
}

fn draft(tenant: &Tenant, event: Value, is_quiet: bool) -> Result<Draft, Fault> {
    let invalid = |words: String| Fault::new(FaultKind::Validation, words);
    let Value::Object(mut attributes) = event else {
        return Err(invalid("an event is an object".to_owned()));
    };
    let name = attributes.remove("type");
    let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
    let name = SignalName::parse(name).map_err(|bad| invalid(format!("the event's type {bad}")))?;
    let payload = match attributes.remove("data") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => payload,
        // Payloads are objects; any other data travels under one name.
        Some(other) => Map::from_iter([("value".to_owned(), other)]),
    };
    attributes.remove("specversion");
    if is_quiet {
        attributes.insert(QUIET.to_owned(), Value::Bool(true));
    }
    Ok(Draft { tenant: tenant.clone(), name, payload, attributes: Attributes(attributes), replay_of: None })
}
