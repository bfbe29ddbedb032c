//! The engine as others see it: start it, ask it to cancel, wait for a run.
//!
//! Invariant: what is asked here is answered after the commit that makes it true.
//! Not here: the loop (see `driver`).

use crate::actions::{Calls, LocalApi, Outside, Processes};
use crate::driver::Driver;
use crate::driving::Driving;
use crate::lifecycle::{Audience, Lifecycle, PREFIX, Seat};
use crate::link::Linked;
use crate::registry::Registry;
use crate::remote::{Cluster, Courier, Desk};
use crate::spine::Spine;
use crate::vault::{SecretSettings, Vault};
use openevent_domain::ambient::{Chance, Clock};
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Documents, Input, Issue};
use openevent_store::audit::AuditRecord;
use openevent_store::{Error, Owner, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Messages that may wait for the driver.
const MESSAGES_MAX: usize = 65_536;
/// Stack of the driver's thread: expressions may recurse.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What the engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where runs are.
    pub store: Arc<Store>,
    /// Which workflows there are.
    pub registry: Arc<Registry>,
    /// How the outside is called.
    pub calls: Calls,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Who owns the engine's tasks.
    pub owner: Owner,
    /// The rest.
    pub settings: Settings,
}

/// What an operator can choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far a run that begins to listen looks back.
    pub lookback_ms: i64,
    /// The longest call.
    pub call_deadline: Duration,
    /// Calls under way at one time.
    pub calls_max: usize,
    /// Which lifecycle events there are.
    pub lifecycle: Lifecycle,
    /// Which processes may be run.
    pub processes: Processes,
    /// The longest process.
    pub process_deadline: Duration,
    /// Where secrets come from.
    pub secrets: SecretSettings,
    /// The folder of the functions that every workflow can use: `<name>/<version>/function.yaml`.
    pub functions: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookback_ms: 60_000,
            call_deadline: Duration::from_mins(1),
            calls_max: 1_024,
            lifecycle: Lifecycle::default(),
            processes: Processes::default(),
            process_deadline: Duration::from_mins(10),
            secrets: SecretSettings::default(),
            functions: None,
        }
    }
}

/// What somebody wants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// End it early.
    Cancel,
    /// Pause it.
    Suspend,
    /// Let it go on.
    Resume,
}

impl Control {
    pub(crate) fn input(self) -> Input {
        match self {
            Self::Cancel => Input::Cancel,
            Self::Suspend => Input::Suspend,
            Self::Resume => Input::Resume,
        }
    }
}

/// The driver is not here, or gave no answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the engine is not running here now")]
pub struct Unheard;

/// What others say to the driver.
#[derive(Debug)]
pub(crate) enum Message {
    /// A call's answer.
    Answer { handle: u64, input: Input },
    /// Signals a run that began to listen may have missed, oldest first.
    Offer { handle: u64, events: Vec<serde_json::Value> },
    /// Somebody wants something of a run. Answered with whether it changed anything.
    Control {
        tenant: Tenant,
        run: RunId,
        control: Control,
        act: Option<Box<AuditRecord>>,
        reply: oneshot::Sender<bool>,
    },
    /// A journal was made shorter up to this entry, or was not.
    Compacted { handle: u64, compacted: Option<i64> },
    /// Somebody waits for a run to end.
    Watch { run: RunId, ended: oneshot::Sender<()> },
}

/// The embedded engine.
#[derive(Clone, Debug)]
pub struct Engine {
    registry: Arc<Registry>,
    spine: Spine,
    audience: Arc<Audience>,
    messages: flume::Sender<Message>,
    outside: Arc<Outside>,
    driving: Driving,
    /// What this node does for runs that a cluster drives.
    desk: Option<Desk>,
}

/// What a node does about runs.
enum Part {
    /// It drives them.
    Drive,
    /// It says who begins; a cluster drives them.
    Coordinate(Arc<dyn Cluster>),
    /// It only helps a cluster that drives them.
    Assist(Arc<dyn Cluster>),
}

impl Engine {
    /// Starts the driver on a thread of its own. It stops with the owner's token.
    pub fn start(parts: Parts) -> Result<Self, Error> {
        Self::start_with(parts, Part::Drive)
    }

    /// The same, where runs are driven by a cluster: the driver then only says who begins and who is offered what.
    pub fn coordinate(parts: Parts, cluster: Arc<dyn Cluster>) -> Result<Self, Error> {
        Self::start_with(parts, Part::Coordinate(cluster))
    }

    /// No driver at all: this node helps a cluster to drive runs, and others say who begins.
    pub fn assist(parts: Parts, cluster: Arc<dyn Cluster>) -> Result<Self, Error> {
        Self::start_with(parts, Part::Assist(cluster))
    }

    fn start_with(parts: Parts, part: Part) -> Result<Self, Error> {
        let (messages, inbox) = flume::bounded(MESSAGES_MAX);
        let spine = Spine::new(Arc::clone(&parts.registry), Arc::clone(&parts.chance));
        let outside = Arc::new(Outside::of(&parts));
        let audience = Arc::new(Audience::default());
        let (cluster, drives) = match part {
            Part::Drive => (None, true),
            Part::Coordinate(cluster) => (Some(cluster), true),
            Part::Assist(cluster) => (Some(cluster), false),
        };
        let courier =
            cluster.as_ref().filter(|_| drives).map(|cluster| Courier::start(Arc::clone(cluster), &parts));
        let desk =
            cluster.map(|cluster| Desk::new(&parts, Arc::clone(&outside), Arc::clone(&audience), cluster));
        let engine = Self {
            desk,
            registry: Arc::clone(&parts.registry),
            spine: spine.clone(),
            audience: Arc::clone(&audience),
            messages: messages.clone(),
            outside: Arc::clone(&outside),
            driving: Driving::default(),
        };
        if !drives {
            return Ok(engine);
        }
        let (tasks, runtime) = (parts.owner.tasks.clone(), tokio::runtime::Handle::current());
        let mut driver = Driver::new(parts, outside, spine, audience, (messages, inbox), courier);
        driver.driving = engine.driving.clone();
        let running = tasks.token();
        let work = move || {
            runtime.block_on(driver.run());
            drop(running);
        };
        let thread = std::thread::Builder::new().name("engine".into()).stack_size(STACK_BYTES);
        thread.spawn(work).map_err(|cause| Error::Unavailable(cause.into()))?;
        Ok(engine)
    }

    /// Which workflows there are.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What this node does for runs that a cluster drives, if one does.
    pub fn desk(&self) -> Option<Desk> {
        self.desk.clone()
    }

    /// Whether runs are driven by a cluster, and what is wrong with that at the moment.
    pub fn cluster_trouble(&self) -> Option<Option<String>> {
        self.desk.as_ref().map(Desk::trouble)
    }

    /// The secrets of all tenants.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.outside.vault
    }

    /// Reads a definition and fetches what it needs from elsewhere. The error lists what makes it unusable.
    pub async fn link(&self, tenant: &Tenant, source: &str) -> Result<Linked, Vec<Issue>> {
        self.link_with(tenant, source, Documents::new()).await
    }

    /// The same, where some of what it needs is known already.
    pub async fn link_with(
        &self,
        tenant: &Tenant,
        source: &str,
        known: Documents,
    ) -> Result<Linked, Vec<Issue>> {
        self.outside.link(tenant, source, known).await
    }

    /// From now on calls of `openevent:api` are answered by this. Those made before have been waiting for it.
    pub fn connect(&self, api: Arc<dyn LocalApi>) {
        self.outside.local.send_replace(Some(api));
    }

    /// From now on they wait again.
    pub fn disconnect(&self) {
        self.outside.local.send_replace(None);
    }

    /// Where every signal passes.
    pub fn spine(&self) -> &Spine {
        &self.spine
    }

    /// Cancels, suspends or resumes a run. `false`: the run is not live, or it changed nothing.
    pub async fn control(&self, tenant: &Tenant, run: &RunId, control: Control) -> Result<bool, Unheard> {
        self.ask(tenant, run, control, None).await
    }

    /// The same; what it changes is committed together with `act`.
    pub async fn control_as(
        &self,
        tenant: &Tenant,
        run: &RunId,
        control: Control,
        act: AuditRecord,
    ) -> Result<bool, Unheard> {
        self.ask(tenant, run, control, Some(Box::new(act))).await
    }

    async fn ask(
        &self,
        tenant: &Tenant,
        run: &RunId,
        control: Control,
        act: Option<Box<AuditRecord>>,
    ) -> Result<bool, Unheard> {
        if let Some(desk) = &self.desk {
            return desk.control(tenant, run, control, act.map(|act| *act)).await;
        }
        let (reply, answer) = oneshot::channel();
        let message = Message::Control { tenant: tenant.clone(), run: run.clone(), control, act, reply };
        self.messages.send_async(message).await.map_err(|_| Unheard)?;
        answer.await.map_err(|_| Unheard)
    }

    /// Whether a cluster drives the runs: any node reaches every one of them.
    pub fn is_on_a_cluster(&self) -> bool {
        self.desk.is_some()
    }

    /// Whether runs are driven here now; of several nodes, on one.
    pub fn drives(&self) -> bool {
        self.driving.is_so()
    }

    /// Counts a stream that asks for names among those who listen to lifecycle events, if it asks for such.
    pub fn audience(&self, tenant: &Tenant, names: &str) -> Option<Seat> {
        names.starts_with(PREFIX).then(|| self.audience.seat(tenant, names))
    }

    /// A receiver that resolves when the run has ended on disk. Ask the store after calling this: a run
    /// that ended before is not told of again.
    pub async fn watch(&self, run: &RunId) -> Result<oneshot::Receiver<()>, Unheard> {
        let (ended, watching) = oneshot::channel();
        self.messages.send_async(Message::Watch { run: run.clone(), ended }).await.map_err(|_| Unheard)?;
        Ok(watching)
    }
}
