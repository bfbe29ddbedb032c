//! `serve`: the composition root. Opens everything, says where it listens, ends it in order.
//!
//! Invariant: standard output carries one line, `listening on http://ADDRESS`, and only once connections are
//! accepted; SIGTERM and SIGINT drain and end with exit code 0, a second one ends at once.
//! Not here: routes, the engine, the store; they are started here and live in their own crates.

use crate::config::Config;
use crate::failure::{Explain as _, failed};
use crate::node::Node;
use crate::output::Output;
use crate::{housekeeping, workers};
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the server until it is told to stop.
pub(crate) async fn serve(config: Config, output: Output) -> anyhow::Result<ExitCode> {
    config.check_start()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let mut stops = Stops::new()?;
    let listener = listen(&config).await?;
    let address = listener.local_addr()?;
    let node = Node::open(config).await?;
    node.default_project().await?;
    let _engine = workers::start_engine(&node).await?;
    housekeeping::start(&node);
    output.line(&format!("listening on http://{address}"))?;
    stops.wait().await;
    tracing::info!("stopping");
    tokio::select! {
        ended = node.close() => {
            if !ended {
                // Nothing is lost: what was acknowledged is on disk, and the next start goes on with it.
                tracing::warn!("some work was still under way when the time to drain was over");
            }
            Ok(ExitCode::SUCCESS)
        }
        () = stops.wait() => Err(failed("stopped before everything had ended", "")),
    }
}

/// Takes the address before the database is opened, so that a second server on one port fails early.
async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(config.listen).await;
    bound.explain(format!("cannot listen on {}", config.listen), "choose another address with --listen")
}

/// The two signals that end a server.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
