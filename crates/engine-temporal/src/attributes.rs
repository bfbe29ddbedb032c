//! What Temporal's UI shows of a run beside its id, and can be searched by.
//!
//! Invariant: a namespace that does not let us add search attributes is no less able to drive runs.
//! Not here: the runs.

use openevent_engine::remote::Handover;
use std::collections::HashMap;
use temporalio_client::Client;
use temporalio_common::protos::temporal::api::enums::v1::IndexedValueType;
use temporalio_common::protos::temporal::api::operatorservice::v1::{
    AddSearchAttributesRequest, ListSearchAttributesRequest,
};
use temporalio_common::search_attributes::{SearchAttributeKey, SearchAttributes};

const PROJECT: SearchAttributeKey<String> = SearchAttributeKey::keyword("OpenEventProject");
const WORKFLOW: SearchAttributeKey<String> = SearchAttributeKey::keyword("OpenEventWorkflow");
const EVENT: SearchAttributeKey<String> = SearchAttributeKey::keyword("OpenEventId");

/// The search attributes of a run.
pub(crate) fn of(run: &Handover) -> SearchAttributes {
    let event = run.event_id.as_ref().map(|id| EVENT.value_set(id.as_str().to_owned()));
    let all = [
        PROJECT.value_set(run.tenant.as_str().to_owned()),
        WORKFLOW.value_set(format!("{} {}", run.workflow, run.version)),
    ];
    SearchAttributes::new(all.into_iter().chain(event))
}

/// A run in one line.
pub(crate) fn summary(run: &Handover) -> String {
    let by = run.event_id.as_ref().map(|id| format!(", started by {}", id.as_str()));
    format!("{} {}{}", run.workflow, run.version, by.unwrap_or_default())
}

/// Makes the namespace know our search attributes. `false`: it does not, and does not let us.
pub(crate) async fn register(client: &Client, namespace: &str) -> bool {
    let mut operator = client.connection().operator_service();
    let wanted = [PROJECT.name(), WORKFLOW.name(), EVENT.name()];
    let list = ListSearchAttributesRequest { namespace: namespace.to_owned() };
    let known = operator.list_search_attributes(tonic::Request::new(list)).await;
    if let Ok(known) = &known {
        let known = &known.get_ref().custom_attributes;
        if wanted.iter().all(|name| known.contains_key(*name)) {
            return true;
        }
    }
    let search_attributes: HashMap<String, i32> =
        wanted.map(|name| (name.to_owned(), IndexedValueType::Keyword as i32)).into();
    let add = AddSearchAttributesRequest { search_attributes, namespace: namespace.to_owned() };
    match operator.add_search_attributes(tonic::Request::new(add)).await {
        Ok(_) => true,
        Err(cause) => {
            tracing::warn!(
                error = cause.message(),
                "the namespace does not take our search attributes (OpenEventProject, OpenEventWorkflow, OpenEventId: keywords); \
                 runs carry none"
            );
            false
        }
    }
}
