//! What becomes of webhooks while deliveries are made, told to the rest of the server.
//!
//! Invariant: `webhook.disabled` is in the set that disables.
//! Not here: deciding to.

use crate::app::audit::{self, Act, Who};
use openevent_delivery::Herald;
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::signal::{Attributes, SignalName};
use openevent_domain::webhook::DISABLED;
use openevent_engine::{Draft, Engine};
use openevent_store::deliveries::Status;
use openevent_store::webhooks::WebhookRecord;
use openevent_store::{NewDelivery, WriteSet};
use serde_json::{Map, json};
use std::sync::Arc;

/// Who does it in the audit log.
const SENDER: Who<'static> = Who { kind: "system", id: "delivery", name: None, origin: None };

/// Tells the spine.
#[derive(Debug)]
pub struct Teller {
    engine: Engine,
    chance: Arc<dyn Chance>,
}

impl Teller {
    /// A herald that tells this engine's spine.
    pub fn new(engine: Engine, chance: Arc<dyn Chance>) -> Self {
        Self { engine, chance }
    }
}

impl Herald for Teller {
    fn attend(&self, holder: Arc<str>) {
        self.engine.registry().webhooks().attend(holder);
    }

    fn disabled(&self, set: &mut WriteSet, webhook: &WebhookRecord, reason: &str, now: Millis) {
        let id = webhook.id.as_str();
        let after = json!({"status": "disabled", "disabledReason": reason});
        let act = Act {
            name: DISABLED_ACT,
            target: id,
            before: Some(json!({"status": "active"})),
            after: Some(after),
        };
        set.add_audit(&audit::row(self.chance.as_ref(), webhook.tenant.clone(), &SENDER, act, now));
        let payload = json!({"webhookId": id, "name": webhook.name, "url": webhook.url, "reason": reason});
        let (Ok(name), Some(payload)) = (SignalName::parse(DISABLED), payload.as_object().cloned()) else {
            return;
        };
        let attributes = Attributes(Map::from_iter([("subject".to_owned(), id.into())]));
        let draft = Draft { tenant: webhook.tenant.clone(), name, payload, attributes, replay_of: None };
        let mut admitted = self.engine.spine().announce(draft, now);
        for owed in admitted.owed.iter_mut().filter(|owed| owed.webhook_id == webhook.id) {
            // The spine does not know yet that it is not active any more.
            let held = NewDelivery { status: Status::Held, holder: Arc::from(""), ..owed.as_ref().clone() };
            *owed = Arc::new(held);
        }
        admitted.write(set);
    }
}

const DISABLED_ACT: &str = "webhook.disable";
