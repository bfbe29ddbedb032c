//! One process's share of the system: clock, chance, store, and the owner of everything that runs.
//!
//! Invariant: whatever is started belongs to `owner`, so that [`Node::close`] can end it and wait for it; the
//! store is the last to go.
//! Not here: what a server adds on top (`serve.rs`).

use crate::ambient::{SystemChance, SystemClock};
use crate::config::Config;
use crate::failure::{Explain as _, explain, failed, usage};
use openevent_domain::ambient::{Chance, Clock};
use openevent_domain::id::ProjectId;
use openevent_domain::tenant::{DEFAULT_PROJECT, Tenant, is_project_name};
use openevent_server::app::audit::{self, Act, Who};
use openevent_store::audit::AuditRecord;
use openevent_store::keys::Project;
use openevent_store::{Error, Location, Options, Owner, Store};
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Locked by the one server that works on a data directory.
const LOCK_FILE: &str = "openevent.lock";
/// Readable, writable and enterable for the owner alone.
const PRIVATE_DIR: u32 = 0o700;

/// What every command that touches the data, and the server, is built on.
pub(crate) struct Node {
    /// Owns the background work.
    pub(crate) owner: Owner,
    /// The database.
    pub(crate) store: Arc<Store>,
    /// The real clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The OS random source.
    pub(crate) chance: Arc<dyn Chance>,
    /// What was configured.
    pub(crate) config: Arc<Config>,
}

impl Node {
    /// Opens the store, making the data directory and the schema where they are missing.
    pub(crate) async fn open(config: Config) -> anyhow::Result<Self> {
        let location = config.location();
        if let Location::File(_) = &location {
            make_private(&config.data_dir)?;
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let owner = Owner::default();
        let group_max = config.bench.group_max.map(|sets| sets as usize);
        let options = Options { location, group_max };
        let opened = Store::open(options, clock.now(), &owner).await;
        let store = opened.map_err(|cause| explain_store(cause, "cannot open the database", &config))?;
        Ok(Self {
            owner,
            store: Arc::new(store),
            clock,
            chance: Arc::new(SystemChance),
            config: Arc::new(config),
        })
    }

    /// Takes the data directory for this server alone, for as long as the answer lives: two engines on one file
    /// would make every call twice. On PostgreSQL the engine's lease decides. The system lets go of the lock
    /// when the process ends, however it ends.
    pub(crate) fn serve_alone(&self) -> anyhow::Result<Option<File>> {
        let Location::File(_) = self.store.location() else { return Ok(None) };
        let path = self.config.data_dir.join(LOCK_FILE);
        let shown = path.display();
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let lock =
            opened.explain(format!("cannot open {shown}"), "see that the data directory is writable")?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => {
                let dir = self.config.data_dir.display();
                let hint = "stop it, name another --data-dir, or let several servers share PostgreSQL by DATABASE_URL";
                Err(failed(format!("another server works on the data in {dir}"), hint))
            }
            Err(TryLockError::Error(cause)) => Err(explain(cause, format!("cannot lock {shown}"), "")),
        }
    }

    /// The project of a name, made when it is new.
    pub(crate) async fn project(&self, name: &str) -> anyhow::Result<Project> {
        if !is_project_name(name) {
            let hint = "1 to 100 visible characters, without blanks at the ends";
            return Err(usage("this is no name for a project", hint));
        }
        let now = self.clock.now();
        let id = ProjectId::mint(now, self.chance.as_ref());
        let candidate = Project { id, name: name.to_owned(), created_at: now };
        let ensured = self.store.ensure_project(candidate).await;
        ensured.map_err(|cause| explain_store(cause, "cannot read the project", &self.config))
    }

    /// The project of the static token and of the command line.
    pub(crate) async fn default_project(&self) -> anyhow::Result<Project> {
        self.project(DEFAULT_PROJECT).await
    }

    /// What the audit log is told of an act at the command line.
    pub(crate) fn told(&self, tenant: Tenant, act: Act<'_>) -> AuditRecord {
        audit::row(self.chance.as_ref(), tenant, &Who::CLI, act, self.clock.now())
    }

    /// Ends what runs and waits for it, at most as long as configured. Answers whether all of it ended.
    pub(crate) async fn close(self) -> bool {
        let Self { owner, store, config, .. } = self;
        owner.stop.cancel();
        owner.tasks.close();
        // The store's writer ends when its last user is gone; those users have just been told to stop.
        drop(store);
        tokio::time::timeout(Duration::from_millis(config.drain_ms), owner.tasks.wait()).await.is_ok()
    }
}

/// Puts words in front of a failed store call. Our own causes are shown; the location of a server is not,
/// because it holds a password.
pub(crate) fn explain_store(cause: Error, what: &str, config: &Config) -> anyhow::Error {
    let place = match config.location() {
        Location::File(path) => path.display().to_string(),
        Location::Server(_) => "the PostgreSQL server of DATABASE_URL".to_owned(),
    };
    let hint = match &cause {
        Error::Unavailable(_) => "see that it is reachable and writable and that the disk has room",
        Error::Corrupt(_) => "run `openevent doctor`; a backup may be needed",
        Error::Newer { .. } => "start the version that changed it, or a later one",
        _ => "run `openevent doctor`",
    };
    explain(cause, format!("{what} ({place})"), hint)
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(dir);
    made.explain(
        format!("cannot make the data directory {}", dir.display()),
        "name another with --data-dir or OPENEVENT_DATA_DIR",
    )
}
