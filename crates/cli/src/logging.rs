//! Log lines: what happened in the server, on standard error.
//!
//! Invariant: standard output stays free for answers; a line never carries bodies, secrets or query strings
//! (whoever writes one sees to that; `docs/logging.md` lists the fields).
//! Not here: answers and failures of commands (`output.rs`).

use crate::config::{Config, LogFormat};
use crate::failure::Explain as _;
use crate::output::Output;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{Subscriber, SubscriberBuilder};

/// What a server logs unless told otherwise.
pub(crate) const SERVER: &str = "info";
/// What any other command logs unless told otherwise.
pub(crate) const COMMAND: &str = "warn";

/// Starts logging for the rest of the process.
pub(crate) fn start(config: &Config, output: Output, default: &str) -> anyhow::Result<()> {
    let filter = config.log_filter.as_deref().unwrap_or(default);
    let filter = EnvFilter::builder().parse(filter)?;
    let lines: SubscriberBuilder<_, _, EnvFilter, _> =
        Subscriber::builder().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => lines.with_ansi(output.colours_stderr()).try_init(),
    };
    started.map_err(anyhow::Error::from_boxed).explain("cannot start logging", "")
}
