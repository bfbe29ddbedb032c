//! Configuration, parsed once into a value whose fields are all valid.
//!
//! Invariant: flags win over the environment, the environment over the file, the file over the defaults below;
//! secrets are `SecretString`s, so that printing a [`Config`] shows none of them.
//! Not here: acting on it. What must not start at all is said by [`Config::check_start`], by `serve` alone.

mod egress;
mod environment;
mod layers;
mod settings;
mod shown;
mod sources;
mod temporal;

pub(crate) use environment::Environment;
pub(crate) use layers::Flag;
pub(crate) use sources::{HookSettings, SourceSettings};
pub(crate) use temporal::Temporal;

use crate::failure::usage;
use crate::parts::face_settings;
use egress::Egress;
use http::HeaderName;
use layers::Layers;
use openevent_engine::{Lifecycle, Processes};
use openevent_store::Location;
use secrecy::{ExposeSecret, SecretString};
use sources::Sources;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The database's file in the data directory.
pub(crate) const DATABASE_FILE: &str = "openevent.db";

/// The file of keys in the data directory.
const KEY_FILE: &str = "openevent.key";

/// The token that is accepted on loopback while none is configured.
pub(crate) const DEV_TOKEN: &str = "dev-token";

/// Log lines as text or as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What benchmarks may switch; never set in earnest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bench {
    /// Offers a route that answers 202 without storing.
    pub(crate) routes: bool,
    /// Write sets per transaction; `None` for the store's own number.
    pub(crate) group_max: Option<u32>,
    /// Who answers the calls of workflows.
    pub(crate) calls: BenchCalls,
}

/// Who answers the calls of workflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BenchCalls {
    /// The world outside.
    #[default]
    Real,
    /// Nobody: every call is done at once.
    Instant,
}

/// Webhooks out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Webhooks {
    /// Pauses after the first, second, … failed attempt, milliseconds.
    pub(crate) retry_ms: Vec<u64>,
    /// Time for one attempt, milliseconds.
    pub(crate) timeout_ms: u64,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where to accept connections.
    pub(crate) listen: SocketAddr,
    /// Where the database file is.
    pub(crate) data_dir: PathBuf,
    /// The file of keys that secrets are sealed under.
    pub(crate) key_file: PathBuf,
    /// The folder of workflow definitions.
    pub(crate) workflows: PathBuf,
    /// Which processes workflows may run.
    pub(crate) processes: Processes,
    /// Secrets of the environment, by their variable's name without its prefix.
    pub(crate) secrets: BTreeMap<String, SecretString>,
    /// PostgreSQL instead of the file.
    pub(crate) database_url: Option<SecretString>,
    /// The operator's static token.
    pub(crate) api_token: Option<SecretString>,
    /// Calls a minute for the static token; `None` is no limit.
    pub(crate) static_token_rate_per_minute: Option<u32>,
    /// The largest table that is imported, in bytes; `None` for the server's own number.
    pub(crate) import_bytes_max: Option<u32>,
    /// How long a session lasts that nobody uses, milliseconds.
    pub(crate) session_idle_ms: u64,
    /// How long a session lasts at most, milliseconds.
    pub(crate) session_lifetime_ms: u64,
    /// Calls an hour that one address may make without a credential; `None` for the server's own number.
    pub(crate) address_rate_per_hour: Option<u32>,
    /// Applications an hour that one address may send without a credential; `None` for the server's own number.
    pub(crate) public_intake_per_hour: Option<u32>,
    /// The header in which a proxy of ours writes the client's address.
    pub(crate) client_address_header: Option<HeaderName>,
    /// Where others reach this server; what absolute addresses of its pages begin with.
    pub(crate) public_url: Option<String>,
    /// Webhooks out.
    pub(crate) webhooks: Webhooks,
    /// Calls out, of webhooks and workflows alike.
    pub(crate) egress: Egress,
    /// How long before a run began to listen a signal may have come, milliseconds.
    pub(crate) listen_lookback_ms: u64,
    /// Which lifecycle events there are.
    pub(crate) lifecycle: Lifecycle,
    /// How long signals, runs and deliveries are kept, milliseconds; `None` is for ever.
    pub(crate) retention_ms: Option<u64>,
    /// Where runs run, when not here.
    pub(crate) temporal: Option<Temporal>,
    /// How long work under way may take to end after SIGTERM, milliseconds.
    pub(crate) drain_ms: u64,
    /// Which log lines are written; `None` leaves it to the command.
    pub(crate) log_filter: Option<String>,
    /// How they are written.
    pub(crate) log_format: LogFormat,
    /// Switches for benchmarks.
    pub(crate) bench: Bench,
    /// Other people's servers whose messages become signals.
    pub(crate) sources: Vec<SourceSettings>,
    /// Whose webhooks are taken in.
    pub(crate) hooks: Vec<HookSettings>,
    /// Those that cannot be read because a variable is not set, in words.
    pub(crate) sources_unset: Vec<String>,
    /// Variables that look like settings and are none.
    pub(crate) unknown_variables: Vec<String>,
}

impl Config {
    /// Reads file, environment and flags.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: &Environment,
        flags: Vec<Flag>,
    ) -> anyhow::Result<Self> {
        let layers = Layers::read(file, environment, flags)?;
        let sources = Sources::read(layers.sources(), environment)?;
        let unknown = environment.unknown().into_iter();
        let unknown = unknown.filter(|name| !sources.variables.iter().any(|variable| variable == name));
        let path = |text: &str| Ok::<_, Infallible>(PathBuf::from(text));
        let secret = |text: &str| Ok::<_, Infallible>(SecretString::from(text));
        let url = |text: &str| settings::database_url(text).map(SecretString::from);
        let data_dir = layers.get("data_dir", path)?.unwrap_or_else(|| "data".into());
        let key_file = layers.get("key_file", path)?.unwrap_or_else(|| data_dir.join(KEY_FILE));
        Ok(Self {
            listen: layers.get("listen", settings::address)?.unwrap_or((Ipv4Addr::LOCALHOST, 8080).into()),
            data_dir,
            key_file,
            workflows: layers.get("workflows", path)?.unwrap_or_else(|| "workflows".into()),
            processes: Processes {
                shell: layers.get("run_shell", settings::switch)?.unwrap_or_default(),
                script: layers.get("run_script", settings::switch)?.unwrap_or_default(),
                path: environment.get("PATH").map(str::to_owned),
            },
            secrets: environment.secrets(),
            database_url: layers.get("database_url", url)?,
            api_token: layers.get("api_token", secret)?.filter(|token| !token.expose_secret().is_empty()),
            static_token_rate_per_minute: layers.get("static_token_rate_per_minute", settings::count)?,
            import_bytes_max: layers.get("import_bytes_max", settings::count)?,
            session_idle_ms: layers.get("session_idle", settings::span_ms)?.unwrap_or(7 * DAY_MS),
            session_lifetime_ms: layers.get("session_lifetime", settings::span_ms)?.unwrap_or(30 * DAY_MS),
            address_rate_per_hour: layers.get("address_rate_per_hour", settings::count)?,
            public_intake_per_hour: layers.get("public_intake_per_hour", settings::count)?,
            client_address_header: layers.get("client_address_header", settings::header)?,
            public_url: layers.get("public_url", settings::public_url)?,
            webhooks: webhooks(&layers)?,
            egress: Egress::read(&layers)?,
            listen_lookback_ms: layers.get("listen_lookback", settings::span_ms_or_zero)?.unwrap_or(60_000),
            lifecycle: layers.get("lifecycle_events", settings::lifecycle)?.unwrap_or_default(),
            retention_ms: layers.get("retention", settings::span_ms_or_off)?.unwrap_or(Some(30 * DAY_MS)),
            temporal: Temporal::read(&layers)?,
            drain_ms: layers.get("drain_timeout", settings::span_ms)?.unwrap_or(20_000),
            log_filter: layers.get("log", settings::filter)?,
            log_format: layers.get("log_format", log_format)?.unwrap_or_default(),
            bench: bench(&layers)?,
            unknown_variables: unknown.map(str::to_owned).collect(),
            sources: sources.ready,
            hooks: sources.hooks,
            sources_unset: sources.unset,
        })
    }

    /// Whether only this machine can connect: then `dev-token` and plain http to loopback are fine.
    pub(crate) fn development(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    /// The same for a node that listens nowhere: its workflows are no development for it.
    pub(crate) fn of_a_worker(self) -> Self {
        Self { listen: (Ipv4Addr::UNSPECIFIED, 0).into(), ..self }
    }

    /// Where the data is.
    pub(crate) fn location(&self) -> Location {
        match &self.database_url {
            Some(url) => Location::Server(url.expose_secret().to_owned()),
            None => Location::File(self.data_dir.join(DATABASE_FILE)),
        }
    }

    /// What is set but should not be, in words for an operator; empty is well.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.unknown_variables.iter().map(|name| unknown(name)).collect();
        if self.api_token.is_none() && !self.development() {
            warnings.push(format!(
                "listening on {}, which others can reach, without COMPOZY_API_TOKEN: only API keys are accepted \
                 (make one with `openevent keys create`)",
                self.listen
            ));
        }
        if self.bench != Bench::default() {
            warnings.push(
                "switches for benchmarks are set (OPENEVENT_BENCH…): not for use in earnest".to_owned(),
            );
        }
        warnings
    }

    /// Refuses what a server must not start with.
    pub(crate) fn check_start(&self) -> anyhow::Result<()> {
        face_settings(self).check().map_err(|bad| {
            let hint = "choose another; a key of your own is stored by `openevent keys create --literal`";
            usage(format!("COMPOZY_API_TOKEN is not usable: {bad}"), hint)
        })?;
        if let Some(unset) = self.sources_unset.first() {
            return Err(usage(unset.clone(), "set it, or take the source out of the file"));
        }
        if self.temporal.is_some() && !cfg!(feature = "temporal") {
            return Err(usage(
                "temporal_address is set, but this binary was built without Temporal",
                "build it with `cargo build --release --features temporal`, or unset OPENEVENT_TEMPORAL_ADDRESS",
            ));
        }
        Ok(())
    }
}

const DAY_MS: u64 = 86_400_000;

fn unknown(name: &str) -> String {
    format!("{name} is set, but there is no such setting (docs/configuration.md lists them)")
}

fn webhooks(layers: &Layers) -> anyhow::Result<Webhooks> {
    let retry = layers.get("webhook_retry_schedule", settings::spans_ms)?;
    Ok(Webhooks {
        retry_ms: retry.unwrap_or_else(|| vec![60_000, 300_000, 1_800_000, 3_600_000]),
        timeout_ms: layers.get("webhook_timeout", settings::span_ms)?.unwrap_or(15_000),
    })
}

fn bench(layers: &Layers) -> anyhow::Result<Bench> {
    Ok(Bench {
        routes: layers.get("bench", settings::switch)?.unwrap_or_default(),
        group_max: layers.get("bench_group_max", settings::count)?,
        calls: layers.get("bench_calls", bench_calls)?.unwrap_or_default(),
    })
}

fn bench_calls(text: &str) -> Result<BenchCalls, String> {
    match text {
        "real" => Ok(BenchCalls::Real),
        "instant" => Ok(BenchCalls::Instant),
        _ => Err(format!("`{text}` is neither real nor instant")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is neither text nor json")),
    }
}

#[cfg(test)]
mod tests;
