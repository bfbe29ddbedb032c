//! Replaying recorded histories: what was driven once must be driven the same by every later version.

use crate::cluster::Temporal;
use crate::dispatcher::Dispatcher;
use crate::run::Run;
use temporalio_client::{WorkflowFetchHistoryOptions, WorkflowHistory};
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

/// Reads the history of a run from its cluster.
pub async fn record(
    temporal: &Temporal,
    execution: &str,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let link = temporal.link().await?;
    let handle = link.client.get_workflow_handle::<Run>(execution);
    Ok(handle.fetch_history(WorkflowFetchHistoryOptions::default()).to_json().await?)
}

/// Replays one history, as [`WorkflowHistory::to_json`] wrote it. `Err`: it goes another way now.
pub async fn replay(history: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let history = WorkflowHistory::from_json(history)?;
    let options =
        WorkflowReplayerOptions::new().register_workflow::<Dispatcher>()?.register_workflow::<Run>()?.build();
    WorkflowReplayer::new(options)?.replay_workflow(history).await?;
    Ok(())
}
