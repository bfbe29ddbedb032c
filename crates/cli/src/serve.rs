//! `serve`: the composition root. Opens everything, says where it listens, ends it in order.
//!
//! Invariant: standard output carries one line, `listening on http://ADDRESS`, and only once connections are
//! accepted; SIGTERM and SIGINT drain and end with exit code 0, a second one ends at once.
//! Not here: routes, the engine, the store; they are started here and live in their own crates.

use crate::config::Config;
use crate::failure::{Explain as _, explain, failed};
use crate::node::Node;
use crate::output::Output;
use crate::{housekeeping, parts, sources};
use openevent_server::App;
use openevent_server::app::setup;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// Runs the server until it is told to stop.
pub(crate) async fn serve(config: Config, works: bool, output: Output) -> anyhow::Result<ExitCode> {
    config.check_start()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let mut stops = Stops::new()?;
    let listener = listen(&config).await?;
    let address = listener.local_addr()?;
    let node = Node::open(config).await?;
    let _alone = node.serve_alone()?;
    let engine = parts::start_engine(&node, works).await?;
    let app = parts::start_face(&node, engine).await?;
    parts::start_delivery(&node, &app).await?;
    sources::start(&node, &app).await?;
    housekeeping::start(&node);
    let stop = CancellationToken::new();
    let serving = openevent_server::serve(listener, Arc::clone(&app), stop.clone());
    let mut serving = node.owner.tasks.spawn(serving);
    output.line(&format!("listening on http://{address}"))?;
    invite(&app, address, output).await;
    drop(app);
    tokio::select! {
        () = stops.wait() => tracing::info!("stopping"),
        ended = &mut serving => return Err(gave_up(ended)),
    }
    stop.cancel();
    tokio::select! {
        () = drain(serving, node) => Ok(ExitCode::SUCCESS),
        () = stops.wait() => Err(failed("stopped before everything had ended", "")),
    }
}

/// Works for a Temporal cluster beside other servers, without a face, until it is told to stop.
pub(crate) async fn work(config: Config, output: Output) -> anyhow::Result<ExitCode> {
    config.check_start()?;
    let mut stops = Stops::new()?;
    let node = Node::open(config).await?;
    let app = parts::start_worker(&node).await?;
    let stop = CancellationToken::new();
    let mut assisting = node.owner.tasks.spawn(openevent_server::assist(app, stop.clone()));
    output.line("working for Temporal")?;
    tokio::select! {
        () = stops.wait() => tracing::info!("stopping"),
        ended = &mut assisting => return Err(gave_up(ended)),
    }
    stop.cancel();
    tokio::select! {
        () = drain(assisting, node) => Ok(ExitCode::SUCCESS),
        () = stops.wait() => Err(failed("stopped before everything had ended", "")),
    }
}

/// While there is no admin, says where the first one is made. Not in the log: whoever has the link is that admin.
async fn invite(app: &App, address: SocketAddr, output: Output) {
    match setup::offer(app).await {
        Ok(Some(path)) => {
            let root = app.settings.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
            output.remark(&format!(
                "no admin yet: open {root}{path} within a day to make one, or run `openevent users create`"
            ));
        }
        Ok(None) => {}
        Err(cause) => tracing::warn!(error = %cause, "no link for the first admin could be made"),
    }
}

/// First the face, which still needs the engine for the answers it owes; then all the rest.
async fn drain(serving: JoinHandle<()>, node: Node) {
    if let Err(cause) = serving.await {
        tracing::warn!(error = %cause, "the face did not end well");
    }
    if !node.close().await {
        // Nothing is lost: what was acknowledged is on disk, and the next start goes on with it.
        tracing::warn!("some work was still under way when the time to drain was over");
    }
}

/// Why accepting connections ended although nobody asked for it.
fn gave_up(ended: Result<(), JoinError>) -> anyhow::Error {
    let hint = "see the log above";
    match ended {
        Ok(()) => failed("the server stopped accepting connections", hint),
        Err(cause) => explain(cause, "the server broke off", hint),
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
