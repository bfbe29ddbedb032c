//! What the sources' room is lent: a sink that makes signals, and leases in the store.
//!
//! Invariant: a message becomes a signal once, however often it is handed over within 72 hours. On one SQLite file the
//! server is alone, and holds every lease.
//! Not here: reading other people's servers (`openevent_sources`).

use crate::config::{HookSettings, SourceSettings};
use crate::failure::usage;
use crate::node::Node;
use openevent_domain::ambient::Clock;
use openevent_domain::id::uuid_v7;
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use openevent_engine::Draft;
use openevent_server::App;
use openevent_server::app::audit::Act;
use openevent_server::app::intake::{Arrival, Origin};
use openevent_server::app::signals::{Taken, take_in};
use openevent_sources::{LEASE_MS, Lease, Leased, Message, Parts, Sink, SinkError, Taking, Verdict};
use openevent_store::{Dialect, Store, WriteSet};
use std::sync::Arc;

/// What the leases of sources are called, with the source behind.
const LEASE: &str = "source:";

/// Has every configured source read.
pub(crate) async fn start(node: &Node, app: &Arc<App>) -> anyhow::Result<()> {
    let holder = uuid_v7(node.clock.now(), node.chance.as_ref()).to_string();
    let lease = StoreLease { store: Arc::clone(&node.store), clock: Arc::clone(&node.clock), holder };
    let parts = Parts {
        lease: Arc::new(lease),
        clock: Arc::clone(&node.clock),
        chance: Arc::clone(&node.chance),
        tasks: node.owner.tasks.clone(),
        stop: node.owner.stop.clone(),
    };
    for hook in &node.config.hooks {
        configure(node, app, hook).await?;
    }
    for SourceSettings { source, project, environment } in &node.config.sources {
        let project = node.project(project).await?;
        let sink = SignalSink {
            app: Arc::clone(app),
            tenant: Tenant::of(&project.id, *environment),
            source: format!("sources/{}", source.name),
        };
        openevent_sources::start(source.clone(), Arc::new(sink), &parts);
    }
    Ok(())
}

/// Puts a sender of webhooks where the API would.
async fn configure(node: &Node, app: &App, hook: &HookSettings) -> anyhow::Result<()> {
    let tenant = Tenant::of(&node.project(&hook.project).await?.id, hook.environment);
    let told = |set: &mut WriteSet, act: Act<'_>| set.add_audit(&node.told(tenant.clone(), act));
    let done =
        openevent_server::app::sources::configure(app, &tenant, hook.body(), told, node.clock.now()).await;
    done.map_err(|problem| {
        let name = hook.fields.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        let words = problem.issues().map_or_else(
            || problem.message().to_owned(),
            |issues| {
                let words = issues.iter().map(|issue| format!("`{}` {}", issue.field, issue.issue));
                words.collect::<Vec<_>>().join("; ")
            },
        );
        let hint = "docs/hooks.md lists what a source of webhooks is made of";
        usage(format!("[sources.{name}] is not usable: {words}"), hint)
    })
}

/// Makes signals of one source's messages.
#[derive(Debug)]
struct SignalSink {
    app: Arc<App>,
    tenant: Tenant,
    /// As signals tell it.
    source: String,
}

impl Sink for SignalSink {
    fn take(&self, batch: Vec<Message>) -> Taking<'_> {
        Box::pin(async {
            let arrivals = batch.into_iter().map(|message| self.arrival(message)).collect();
            let taken = take_in(&self.app, &self.tenant, arrivals, self.app.clock.now()).await;
            let taken = taken.map_err(|cause| SinkError(cause.into()))?;
            Ok(taken.into_iter().map(verdict).collect())
        })
    }
}

impl SignalSink {
    fn arrival(&self, message: Message) -> Arrival {
        let Message { name, payload, id, channel } = message;
        let attributes = [("source", &self.source), ("id", &id), ("subject", &channel)];
        let attributes = attributes.map(|(name, text)| (name.to_owned(), text.as_str().into()));
        let draft = Draft {
            tenant: self.tenant.clone(),
            name,
            payload,
            attributes: Attributes(attributes.into_iter().collect()),
            replay_of: None,
        };
        Arrival { draft, origin: Some(Origin { source: self.source.clone(), id }) }
    }
}

fn verdict(taken: Taken) -> Verdict {
    match taken {
        Taken::New(..) => Verdict::Accepted,
        Taken::Repeated(..) => Verdict::Repeated,
        Taken::Refused(issues) => {
            let issues = issues.into_iter().map(|issue| format!("{} {}", issue.field, issue.issue));
            Verdict::Refused(issues.collect::<Vec<_>>().join("; "))
        }
    }
}

/// Leases where all nodes see them.
#[derive(Debug)]
struct StoreLease {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    holder: String,
}

impl StoreLease {
    fn is_alone(&self) -> bool {
        self.store.dialect() == Dialect::Sqlite
    }
}

impl Lease for StoreLease {
    fn take<'a>(&'a self, source: &'a str) -> Leased<'a, bool> {
        Box::pin(async move {
            if self.is_alone() {
                return true;
            }
            let name = format!("{LEASE}{source}");
            let taken = self.store.lease_take(&name, &self.holder, self.clock.now(), LEASE_MS).await;
            // The store is away: then nothing can be stored either.
            taken.unwrap_or(false)
        })
    }

    fn give_back<'a>(&'a self, source: &'a str) -> Leased<'a, ()> {
        Box::pin(async move {
            let name = format!("{LEASE}{source}");
            if !self.is_alone()
                && let Err(cause) = self.store.lease_drop(&name, &self.holder).await
            {
                tracing::debug!(error = %cause, source.name = source, "a source's lease was left to expire");
            }
        })
    }
}
