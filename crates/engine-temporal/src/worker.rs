//! A node that works for the cluster: drives workflows and performs their activities.
//!
//! Invariant: it has a thread of its own, since workflows are not to leave theirs; it ends with the owner's token, after
//! what is under way, and begins again when the connection breaks for good.
//! Not here: what it does.

use crate::activities::Activities;
use crate::cluster::Temporal;
use crate::connection::chain;
use crate::dispatcher::Dispatcher;
use crate::run::Run;
use openevent_engine::remote::Desk;
use openevent_store::Owner;
use std::sync::Arc;
use std::time::Duration;
use temporalio_sdk::runtime::{PollerBehavior, RuntimeOptions};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};

/// Before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Stack of the thread: expressions may recurse.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// A workflow whose node is gone waits so long before another node takes it.
const STICKY_MAX: Duration = Duration::from_secs(2);
/// Requests for work that wait at the cluster at one time, of each kind.
const POLLERS: usize = 10;
/// What is under way when the node stops has so long.
const DRAIN: Duration = Duration::from_secs(5);

/// Works for a cluster until the owner stops.
pub fn work(temporal: Arc<Temporal>, desk: Desk, owner: &Owner) -> std::io::Result<()> {
    let (runtime, running, stop) =
        (tokio::runtime::Handle::current(), owner.tasks.token(), owner.stop.clone());
    let work = move || {
        runtime.block_on(async {
            while !stop.is_cancelled() {
                if let Err(words) = work_once(&temporal, &desk, &stop).await {
                    tracing::warn!(error = words, "no work from Temporal");
                    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
            }
        });
        drop(running);
    };
    std::thread::Builder::new().name("temporal".into()).stack_size(STACK_BYTES).spawn(work).map(drop)
}

async fn work_once(
    temporal: &Temporal,
    desk: &Desk,
    stop: &tokio_util::sync::CancellationToken,
) -> Result<(), String> {
    let Some(link) = stop.run_until_cancelled(temporal.link()).await else { return Ok(()) };
    let link = link.map_err(|away| away.0)?;
    let options = RuntimeOptions::builder().build()?;
    let runtime = Runtime::from_current_tokio(options).map_err(|cause| chain(&cause))?;
    let options = WorkerOptions::new(temporal.connection.task_queue.clone())
        .sticky_queue_schedule_to_start_timeout(STICKY_MAX)
        .workflow_task_poller_behavior(PollerBehavior::SimpleMaximum(POLLERS))
        .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(POLLERS))
        .graceful_shutdown_period(DRAIN)
        .register_activities(Activities { desk: desk.clone() })
        .register_workflow::<Dispatcher>()
        .map_err(|cause| chain(&cause))?
        .register_workflow::<Run>()
        .map_err(|cause| chain(&cause))?
        .build();
    let mut worker = Worker::new(&runtime, link.client, options).map_err(|cause| chain(&cause))?;
    let shut_down = worker.shutdown_handle();
    let running = worker.run();
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended.map_err(|cause| chain(&cause)),
        () = stop.cancelled() => shut_down(),
    }
    running.await.map_err(|cause| chain(&cause))
}
