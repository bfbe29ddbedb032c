//! Serving: connections in, background care beside it, a drain at the end.
//!
//! Invariant: after `stop`, no new connection is taken, answers under way are finished (for as long as the
//! settings say), and counts are on disk before [`serve`] returns.
//! Not here: routes; opening the listener.

use crate::app::steering;
use crate::connections;
use crate::face::rates::Urgency;
use crate::face::telemetry::recorder;
use crate::local::Local;
use crate::router;
use crate::state::App;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often counts are written behind.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// How often, in flushes, what was put on other nodes is looked for.
const REFRESH_EVERY_FLUSHES: u32 = 6;

/// Serves until `stop` is cancelled and the last answer is given.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let ended = CancellationToken::new();
    let serving = async {
        accept(listener, &app, &stop).await;
        // What is connected holds the app, which holds the engine.
        app.engine.disconnect();
        ended.cancel();
    };
    let lending = ended.run_until_cancelled(app.rates.lend(&app.store));
    let steering = ended.run_until_cancelled(steering::attend(&app));
    tokio::join!(serving, care(&app, &ended), lending, steering);
    if let Err(cause) = app.flush(Urgency::Last).await {
        tracing::warn!(cause = %cause, "rate-limit counts could not be written at the end");
    }
}

/// Serves nobody: keeps the shared state well, and answers workflows that call this server's own operations, until `stop`.
pub async fn assist(app: Arc<App>, stop: CancellationToken) {
    app.engine.connect(Arc::new(Local::new(router(Arc::clone(&app)))));
    care(&app, &stop).await;
    app.engine.disconnect();
}

async fn accept(listener: TcpListener, app: &Arc<App>, stop: &CancellationToken) {
    let head_max = Duration::from_millis(app.settings.head_ms_max);
    let router = router(Arc::clone(app));
    app.engine.connect(Arc::new(Local::new(router.clone())));
    let serving = connections::accept(listener, router, head_max, stop);
    let telling = async {
        stop.cancelled().await;
        app.stopping.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => {}
        () = telling => {}
        () = patience(stop, app.settings.drain_ms_max) => {
            tracing::warn!("connections were still open at the end of the drain and are cut");
        }
    }
}

async fn patience(stop: &CancellationToken, drain_ms_max: u64) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_millis(drain_ms_max)).await;
}

/// Reads what other processes put: schemas and workflows.
async fn keep_up(app: &App) -> Result<(), openevent_store::Error> {
    app.schemas.refresh(&app.store).await?;
    app.engine.registry().keep_up().await
}

/// Keeps the shared state well until `ended`.
async fn care(app: &App, ended: &CancellationToken) {
    let mut tick = tokio::time::interval(FLUSH_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut flushes: u32 = 0;
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(cause) = app.flush(Urgency::Usual).await {
            tracing::debug!(cause = %cause, "rate-limit counts could not be written; they stay in memory");
        }
        if let Err(cause) = app.engine.registry().webhooks().keep_up().await {
            tracing::debug!(cause = %cause, "what other nodes changed of webhooks could not be read");
        }
        flushes = flushes.wrapping_add(1);
        if flushes.is_multiple_of(REFRESH_EVERY_FLUSHES) {
            recorder().run_upkeep();
            if let Err(cause) = keep_up(app).await {
                tracing::debug!(cause = %cause, "what other nodes changed could not be read");
            }
        }
    }
}
