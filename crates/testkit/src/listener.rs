//! The accept loop behind every server of the kit.
//!
//! Invariant: dropping the [`Listener`] aborts the loop and every connection it accepted.
//! Not here: what is spoken on a connection.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A listening socket and the tasks that serve it.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Listener {
    /// Serves every connection to a fresh loopback port with `serve`.
    pub(crate) async fn start<S, F>(serve: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(socket, serve));
        Self { address, _accepting: accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept<S, F>(socket: TcpListener, serve: S)
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        // A peer that is gone already is served like any other: the first read says so.
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream));
        while connections.try_join_next().is_some() {}
    }
}
