//! A TCP proxy that can be told to fail, put before a database or a server.
//!
//! Invariant: when a command returns, it is in force: no later byte or connection slips past it.
//! Not here: understanding what is proxied, or failing at random; the test decides.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Restore,
    Refuse,
    Cut,
    BlackHole,
}

/// Whether bytes move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    Held,
}

/// A proxy on 127.0.0.1 in front of one address. Passes everything on until told otherwise.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    commands: mpsc::Sender<(Command, oneshot::Sender<()>)>,
    _running: JoinSet<()>,
}

impl ChaosProxy {
    /// Starts on a free port, before `upstream`.
    pub async fn start(upstream: SocketAddr) -> Self {
        let socket = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
        let address = socket.local_addr().expect("a bound socket has an address");
        let (commands, inbox) = mpsc::channel(1);
        let proxy = Proxy { address, upstream, flow: watch::Sender::new(Flow::Open), pipes: JoinSet::new() };
        let mut running = JoinSet::new();
        running.spawn(proxy.run(socket, inbox));
        Self { address, commands, _running: running }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts what is open and closes the port: new connections are refused.
    pub async fn refuse(&self) {
        self.order(Command::Refuse).await;
    }

    /// Cuts what is open, once; new connections pass.
    pub async fn cut(&self) {
        self.order(Command::Cut).await;
    }

    /// Connections open and stay open, but no byte moves, as with a firewall that drops packets.
    pub async fn black_hole(&self) {
        self.order(Command::BlackHole).await;
    }

    /// Listens and passes again; bytes held back by a black hole move on.
    pub async fn restore(&self) {
        self.order(Command::Restore).await;
    }

    async fn order(&self, command: Command) {
        let (done, obeyed) = oneshot::channel();
        self.commands.send((command, done)).await.expect("the proxy runs as long as its handle");
        obeyed.await.expect("the proxy answers every command");
    }
}

struct Proxy {
    address: SocketAddr,
    upstream: SocketAddr,
    flow: watch::Sender<Flow>,
    pipes: JoinSet<()>,
}

impl Proxy {
    async fn run(mut self, socket: TcpListener, mut inbox: mpsc::Receiver<(Command, oneshot::Sender<()>)>) {
        let mut socket = Some(socket);
        loop {
            let incoming = async {
                match &socket {
                    Some(socket) => socket.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = inbox.recv() => {
                    let Some((command, done)) = order else { return };
                    self.obey(command, &mut socket).await;
                    // The test may have stopped waiting; the command is in force anyway.
                    let _ = done.send(());
                }
                Ok((client, _)) = incoming => self.open(client),
            }
            while self.pipes.try_join_next().is_some() {}
        }
    }

    async fn obey(&mut self, command: Command, socket: &mut Option<TcpListener>) {
        if matches!(command, Command::Refuse | Command::Cut) {
            self.pipes.shutdown().await;
        }
        if command == Command::Refuse {
            *socket = None;
        } else if socket.is_none() {
            *socket = Some(listen(self.address).await);
        }
        self.flow.send_replace(if command == Command::BlackHole { Flow::Held } else { Flow::Open });
    }

    fn open(&mut self, client: TcpStream) {
        let (upstream, flow) = (self.upstream, self.flow.subscribe());
        self.pipes.spawn(async move {
            let mut gate = flow.clone();
            if gate.wait_for(|flow| *flow == Flow::Open).await.is_err() {
                return;
            }
            let Ok(server) = TcpStream::connect(upstream).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::join!(
                pipe(client_read, server_write, flow.clone()),
                pipe(server_read, client_write, flow)
            );
        });
    }
}

/// Moves bytes one way while the flow is open; ends when either side does.
async fn pipe(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flow: watch::Receiver<Flow>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut piece).await {
        if flow.wait_for(|flow| *flow == Flow::Open).await.is_err() || count == 0 {
            break;
        }
        if to.write_all(&piece[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

async fn listen(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.expect("the proxy's port is free")
}
