//! What commands ask of the outside.
//!
//! Invariant: every call carries the key of its operation, the same after every restart; real values of secrets are
//! put into a call when it is performed and taken out of what comes back, so that no run ever holds one.
//! Not here: when to call, what to do with the answer.

mod authentication;
mod digest;
mod documents;
mod http;
mod jwt;
mod local;
mod oauth;
mod openapi;
mod operation;
mod parameters;
mod process;
#[cfg(test)]
mod tests;
pub(crate) mod veil;

pub use local::{LocalAnswer, LocalApi, LocalRequest};
pub use process::Processes;

use crate::handle::{Parts, Settings};
use crate::vault::{Vault, VaultError};
use openevent_domain::ambient::{Chance, Clock};
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_egress::Client;
use openevent_flow::{Call, Fault, FaultKind, Input};
use openevent_store::Owner;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;
use veil::Veil;

/// How calls are performed.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one; a client's size depends on what is built beside it"
)]
#[derive(Clone, Debug)]
pub enum Calls {
    /// Over the network.
    Real(Client),
    /// Answered at once with `{}`: isolates the engine in benchmarks.
    Instant,
}

/// Whose call it is.
pub(crate) struct Order {
    pub(crate) tenant: Tenant,
    pub(crate) run: RunId,
    pub(crate) op: u64,
}

impl Order {
    /// What makes a repeated call harmless.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.run, self.op)
    }
}

/// Everything calls need of the world.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) calls: Calls,
    pub(crate) vault: Arc<Vault>,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) owner: Owner,
    /// This server's own operations, while there is a face.
    pub(crate) local: watch::Sender<Option<Arc<dyn LocalApi>>>,
    pub(crate) tokens: oauth::Tokens,
    pub(crate) documents: documents::Documents,
}

impl Outside {
    /// What an engine of these parts has.
    pub(crate) fn of(parts: &Parts) -> Self {
        let (clock, chance) = (Arc::clone(&parts.clock), Arc::clone(&parts.chance));
        let secrets = &parts.settings.secrets;
        let vault = Vault::new(Arc::clone(&parts.store), secrets, Arc::clone(&clock), Arc::clone(&chance));
        Self {
            calls: parts.calls.clone(),
            vault: Arc::new(vault),
            settings: parts.settings.clone(),
            clock,
            chance,
            owner: parts.owner.clone(),
            local: watch::Sender::new(None),
            tokens: oauth::Tokens::default(),
            documents: documents::Documents::default(),
        }
    }

    /// Performs a call; the answer is the run's next input. `secrets` is the run's `$secrets`, if it has any.
    pub(crate) async fn perform(&self, order: Order, call: Call, secrets: Option<Value>) -> Input {
        let op = order.op;
        if let Call::Secrets { names } = &call {
            let given = veil::stand_ins(&self.vault, &order.tenant, names, self.chance.as_ref()).await;
            return given.map_or_else(
                |cause| Input::Failed { op, error: closed(&cause) },
                |value| Input::Done { op, value },
            );
        }
        let mut veil = match Veil::of(&self.vault, &order.tenant, &secrets.unwrap_or_default()).await {
            Ok(veil) => veil,
            Err(cause) => return Input::Failed { op, error: closed(&cause) },
        };
        let performed = self.perform_open(&order, call, &mut veil).await;
        let input =
            performed.map_or_else(|error| Input::Failed { op, error }, |value| Input::Done { op, value });
        veil.conceal().input(input)
    }

    async fn perform_open(&self, order: &Order, call: Call, veil: &mut Veil) -> Result<Value, Fault> {
        match (&self.calls, call) {
            (Calls::Instant, _) => Ok(instant_value()),
            (Calls::Real(client), Call::Http(call)) => self.http(client, order, call, veil).await,
            (Calls::Real(client), Call::OpenApi(call)) => self.openapi(client, order, call, veil).await,
            (Calls::Real(client), Call::Process(call)) => self.process(client, order, call, veil).await,
            (Calls::Real(_), _) => {
                Err(Fault::new(FaultKind::Configuration, "this kind of call is not offered by this server"))
            }
        }
    }
}

/// A vault that does not open: the cause is for the log, not for the run.
fn closed(cause: &VaultError) -> Fault {
    tracing::error!(error = %chain(cause), "secrets cannot be read");
    Fault::new(FaultKind::Runtime, "the server cannot read its secrets now")
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The answer of [`Calls::Instant`].
pub(crate) fn instant(op: u64) -> Input {
    Input::Done { op, value: instant_value() }
}

fn instant_value() -> Value {
    json!({"status": 200, "headers": {"content-type": "application/json"}, "body": {}})
}

/// What a failed exchange is called in the language.
pub(crate) fn fault(cause: &openevent_egress::Error) -> Fault {
    use openevent_egress::Error;
    match cause {
        Error::Timeout { .. } => Fault::new(FaultKind::Timeout, cause.to_string()),
        Error::InvalidUrl { .. } => Fault::new(FaultKind::Configuration, cause.to_string()),
        _ => Fault::new(FaultKind::Communication, cause.to_string()),
    }
}
