//! The state every request shares, put together once at start.
//!
//! Invariant: everything here is cheap to read on the hot path; what must be durable is in the store.
//! Not here: routes (see `api`), the loop that keeps this state well (see `serve`).

use crate::app::hooks::Sources;
use crate::app::passwords::Passwords;
use crate::app::schema_book::SchemaBook;
use crate::face::idempotency::Flights;
use crate::face::keyring::Keyring;
use crate::face::rates::{Rates, Urgency};
use crate::face::telemetry::{RequestMeters, recorder};
use crate::settings::{BadSettings, Settings};
use openevent_delivery::Keys;
use openevent_domain::ambient::{Chance, Clock};
use openevent_domain::id::ProjectId;
use openevent_domain::tenant::DEFAULT_PROJECT;
use openevent_engine::Engine;
use openevent_store::keys::Project;
use openevent_store::{Error, Store};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What every handler can reach.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Arc<Store>,
    /// Workflows and runs, and the spine signals pass.
    pub engine: Engine,
    /// The time. Handlers take [`crate::face::moment::Moment`] instead.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub chance: Arc<dyn Chance>,
    /// What the operator decided.
    pub settings: Settings,
    /// Credentials.
    pub keyring: Keyring,
    /// Rate limits.
    pub rates: Rates,
    /// Requests with an idempotency key that are being answered.
    pub flights: Arc<Flights>,
    /// The keys that secrets of webhooks are sealed under.
    pub webhook_keys: Arc<Keys>,
    /// Sources of webhooks, ready to be asked.
    pub sources: Sources,
    /// What is measured about requests.
    pub meters: RequestMeters,
    /// Schemas of catalogued signal names, to be asked without waiting.
    pub schemas: SchemaBook,
    /// Where passwords are hashed.
    pub passwords: Passwords,
    /// Cancelled when the server is to stop: answers without an end (streams) end then.
    pub stopping: CancellationToken,
}

/// Why the state could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict themselves.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] Error),
}

impl App {
    /// Puts the state together: the default project, the counts of the last process, the schemas.
    pub async fn start(
        store: Arc<Store>,
        engine: Engine,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        settings: Settings,
    ) -> Result<Arc<Self>, StartError> {
        settings.check()?;
        recorder();
        let now = clock.now();
        let candidate = Project {
            id: ProjectId::mint(now, chance.as_ref()),
            name: DEFAULT_PROJECT.to_owned(),
            created_at: now,
        };
        let project = store.ensure_project(candidate).await?;
        let rates = Rates::load(&store, now).await?;
        let keyring = Keyring::new(Arc::clone(&store), &rates, &settings, &project.id);
        let schemas = SchemaBook::default();
        schemas.refresh(&store).await?;
        let webhook_keys = Arc::new(Keys::of(settings.key_file.clone()));
        Ok(Arc::new(Self {
            store,
            engine,
            clock,
            chance,
            settings,
            keyring,
            rates,
            flights: Arc::default(),
            webhook_keys,
            sources: Sources::default(),
            meters: RequestMeters::default(),
            schemas,
            passwords: Passwords::default(),
            stopping: CancellationToken::new(),
        }))
    }

    /// Writes behind what is only in memory. Input-free and repeatable; failures are tried again next time.
    pub async fn flush(&self, urgency: Urgency) -> Result<(), Error> {
        self.rates.flush(&self.store, self.clock.now(), urgency).await
    }
}
