//! Connections: each is served on a task of its own until it ends or a stop is asked for.
//!
//! Invariant: a peer that does not send the head of a request, on a new connection or on one that it keeps, holds
//! a connection for ever. After a stop, exchanges under way are finished and nothing new is taken.
//! Not here: routes; the deadline of bodies (see `face::body`).

use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// The pause after the system had no room for one more connection.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(100);

type Make = IntoMakeServiceWithConnectInfo<Router, SocketAddr>;

/// Takes connections until `stop` is cancelled, and returns when the last one has ended. `head_max` is how long the
/// head of a request may take.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    head_max: Duration,
    stop: &CancellationToken,
) {
    let mut make: Make = router.into_make_service_with_connect_info();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_max);
    let connections = TaskTracker::new();
    while let Some((stream, peer)) = next(&listener, stop).await {
        let Ok(service) = make.call(peer).await;
        // Small answers must not wait for the peer's acknowledgement.
        drop(stream.set_nodelay(true));
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let stop = stop.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            // How a connection ends is the peer's affair.
            drop(connection.await);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection; `None` after a stop.
async fn next(listener: &TcpListener, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok(accepted) => return Some(accepted),
            Err(cause) if is_the_peers(&cause) => {}
            Err(cause) => {
                tracing::warn!(error = %cause, "a connection could not be taken");
                stop.run_until_cancelled(tokio::time::sleep(NO_ROOM_PAUSE)).await?;
            }
        }
    }
}

/// Whether the peer went away before it was let in.
fn is_the_peers(cause: &Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
