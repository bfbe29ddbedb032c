//! The cluster as the engine sees it: takes runs over, tells them things, asks them.
//!
//! Invariant: what is answered with success is in Temporal's history. A cluster that is away is connected to again, by
//! whoever next has something to say.
//! Not here: what workflows do with it (`dispatcher`, `run`).

use crate::attributes;
use crate::connection::{Connection, Dispatch as Manner, Misconfigured, Ready, chain};
use crate::dispatcher::{Dispatch, Dispatcher};
use crate::letters;
use crate::run::{Run, Steer};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use openevent_domain::tenant::Tenant;
use openevent_engine::remote::{Away, Boxed, Cluster, Handover};
use openevent_flow::Input;
use openevent_store::audit::AuditRecord;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use temporalio_client::errors::{WorkflowInteractionError, WorkflowStartError, WorkflowUpdateError};
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio::sync::Mutex;

/// Requests under way at one time; Temporal's client stalls with many more.
const REQUESTS_MAX: usize = 32;
/// Runs one message to a dispatcher carries.
const BATCH: usize = 100;
/// The longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A Temporal cluster.
#[derive(Debug)]
pub struct Temporal {
    ready: Ready,
    pub(crate) connection: Connection,
    link: Mutex<Option<Link>>,
    trouble: parking_lot::Mutex<Option<String>>,
}

/// A connection that stands.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) client: Client,
    has_attributes: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Temporal {
    /// A cluster, not connected to yet.
    pub fn new(connection: Connection) -> Result<Arc<Self>, Misconfigured> {
        let ready = connection.read()?;
        Ok(Arc::new(Self {
            ready,
            connection,
            link: Mutex::default(),
            trouble: parking_lot::Mutex::default(),
        }))
    }

    /// The connection; made if there is none.
    pub(crate) async fn link(&self) -> Result<Link, Away> {
        let mut link = self.link.lock().await;
        if let Some(link) = &*link {
            return Ok(link.clone());
        }
        let away = |words| Away(format!("Temporal at {}: {words}", self.connection.address));
        let client = self.ready.connect().await.map_err(away);
        *self.trouble.lock() = client.as_ref().err().map(|away| away.0.clone());
        let client = client?;
        let has_attributes = attributes::register(&client, &self.ready.namespace).await;
        tracing::info!(
            address = self.connection.address,
            namespace = self.ready.namespace,
            "connected to Temporal"
        );
        Ok(link.insert(Link { client, has_attributes }).clone())
    }

    /// What a tenant's dispatcher is called.
    pub fn dispatcher(&self, tenant: &Tenant, shard: u32) -> String {
        format!("{}/{}/dispatcher/{shard}", self.connection.task_queue, tenant.as_str())
    }

    /// Waits no longer than that.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Away>>) -> Result<T, Away> {
        let timed = tokio::time::timeout(ANSWER_MAX, work).await;
        let silent = || Away(format!("Temporal at {} does not answer", self.connection.address));
        let done = timed.unwrap_or_else(|_| Err(silent()));
        *self.trouble.lock() = done.as_ref().err().map(|away| away.0.clone());
        done
    }

    async fn dispatch(
        &self,
        link: &Link,
        (tenant, shard): (Tenant, u32),
        runs: Vec<Handover>,
    ) -> Result<(), Away> {
        let queue = self.connection.task_queue.clone();
        let options = WorkflowStartOptions::new(queue, self.dispatcher(&tenant, shard))
            .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
            .static_summary(format!("starts the runs of {}", tenant.as_str()))
            .build();
        let begin = Dispatch { waiting: Vec::new(), has_attributes: link.has_attributes };
        let letter = letters::seal(&runs);
        let sent = link
            .client
            .signal_with_start_workflow(Dispatcher::run, begin, Dispatcher::dispatch, letter, options)
            .await;
        sent.map(drop).map_err(|cause| Away(chain(&cause)))
    }

    async fn start(&self, link: &Link, run: Handover) -> Result<(), Away> {
        let queue = self.connection.task_queue.clone();
        let options = WorkflowStartOptions::new(queue, run.execution.clone())
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .static_summary(attributes::summary(&run))
            .maybe_search_attributes(link.has_attributes.then(|| attributes::of(&run)))
            .build();
        match link.client.start_workflow(Run::run, run, options).await {
            Ok(_) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
            Err(cause) => Err(Away(chain(&cause))),
        }
    }

    async fn hand_over_all(&self, runs: Vec<Handover>) -> Result<(), Away> {
        let link = self.link().await?;
        let Manner::Dispatchers { shards } = self.connection.dispatch else {
            let starting = runs.into_iter().map(|run| self.start(&link, run));
            return stream::iter(starting).buffer_unordered(REQUESTS_MAX).try_collect().await;
        };
        let mut by_shard: BTreeMap<(Tenant, u32), Vec<Handover>> = BTreeMap::new();
        for run in runs {
            let shard = shard(run.run.as_str(), shards);
            by_shard.entry((run.tenant.clone(), shard)).or_default().push(run);
        }
        let messages = by_shard.into_iter().flat_map(|(of, runs)| {
            let batches: Vec<Vec<Handover>> = runs.chunks(BATCH).map(<[Handover]>::to_vec).collect();
            batches.into_iter().map(move |batch| (of.clone(), batch))
        });
        let sending = messages.map(|(of, batch)| self.dispatch(&link, of, batch));
        stream::iter(sending).buffer_unordered(REQUESTS_MAX).try_collect().await
    }
}

/// Which of so many dispatchers a run goes to: always the same one. FNV-1a.
fn shard(run: &str, shards: u32) -> u32 {
    let hash =
        run.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % shards.max(1)
}

impl Cluster for Temporal {
    fn hand_over(&self, runs: Vec<Handover>) -> Boxed<'_, Result<(), Away>> {
        Box::pin(self.in_time(self.hand_over_all(runs)))
    }

    fn tell(&self, execution: String, inputs: Vec<Input>) -> Boxed<'_, Result<bool, Away>> {
        Box::pin(self.in_time(async move {
            let link = self.link().await?;
            let handle = link.client.get_workflow_handle::<Run>(execution);
            let told =
                handle.signal(Run::tell, letters::seal(&inputs), WorkflowSignalOptions::default()).await;
            match told {
                Ok(()) => Ok(true),
                Err(WorkflowInteractionError::NotFound(_)) => Ok(false),
                Err(cause) => Err(Away(chain(&cause))),
            }
        }))
    }

    fn check(&self) -> Boxed<'_, Result<(), Away>> {
        Box::pin(self.in_time(async {
            let link = self.link().await?;
            let mut service = link.client.connection().workflow_service();
            let request = DescribeNamespaceRequest {
                namespace: self.connection.namespace.clone(),
                ..Default::default()
            };
            let described = service.describe_namespace(tonic::Request::new(request)).await;
            described.map(drop).map_err(|cause| Away(chain(&cause)))
        }))
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    fn ask(
        &self,
        execution: String,
        input: Input,
        act: Option<AuditRecord>,
    ) -> Boxed<'_, Result<Option<bool>, Away>> {
        Box::pin(self.in_time(async move {
            let link = self.link().await?;
            let handle = link.client.get_workflow_handle::<Run>(execution);
            // An audit row is asked for once, whatever becomes of the answer.
            let update_id = act.as_ref().map(|act| act.id.to_string());
            let options = WorkflowExecuteUpdateOptions::builder().maybe_update_id(update_id).build();
            let letter = letters::seal(&Steer { input, act });
            match handle.execute_update(Run::steer, letter, options).await {
                Ok(changed) => Ok(Some(changed)),
                Err(WorkflowUpdateError::NotFound(_)) => Ok(None),
                Err(cause) => Err(Away(chain(&cause))),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_spread_over_all_dispatchers_and_stay_with_theirs() {
        let mut counts = [0_u32; 4];
        for n in 0..1_000 {
            counts[shard(&format!("run_{n:032x}"), 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (150..350).contains(count)), "{counts:?}");
        assert_eq!(shard("run_7", 4), shard("run_7", 4));
        assert_eq!(shard("run_7", 1), 0);
    }
}
