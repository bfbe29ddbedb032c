//! An HTTP proxy that opens tunnels (`CONNECT`), or does something else when asked to.
//!
//! Invariant: whatever address it is asked for, it connects to that port on loopback; so a test can name addresses that
//! nothing but the proxy could reach.
//! Not here: forwarding of whole requests, TLS to the proxy itself.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
};

use crate::listener::Listener;

/// What it does when it is asked for a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnels {
    /// Opens it.
    Open,
    /// Answers with this status and closes.
    Refused(u16),
    /// Says nothing.
    Silent,
    /// Speaks another protocol.
    NotHttp,
    /// Says yes and goes on talking.
    Talkative,
    /// Closes without an answer.
    Closed,
}

/// A proxy on 127.0.0.1.
#[derive(Debug)]
pub struct ConnectProxy {
    listener: Listener,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Starts on a free port.
    pub async fn start(tunnels: Tunnels) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&asked);
        let listener = Listener::start(move |stream| {
            let asked = Arc::clone(&shared);
            async move {
                // An error is one of the two sides leaving.
                let _ = serve(stream, tunnels, &asked).await;
            }
        })
        .await;
        Self { listener, asked }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The heads of all requests so far, as they were sent.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

async fn serve(mut client: TcpStream, tunnels: Tunnels, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let head = head_of(&mut client).await?;
    let port = port_of(&head);
    asked.lock().push(head);
    match tunnels {
        Tunnels::Open => {
            let mut there = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut there).await?;
        }
        Tunnels::Refused(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 6\r\n\r\nbecause");
            client.write_all(answer.as_bytes()).await?;
        }
        Tunnels::Silent => std::future::pending().await,
        Tunnels::NotHttp => client.write_all(b"220 mail.example ESMTP ready\r\n\r\n").await?,
        Tunnels::Talkative => client.write_all(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await?,
        Tunnels::Closed => {}
    }
    client.shutdown().await
}

/// What was sent, up to the blank line.
async fn head_of(client: &mut TcpStream) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        // Byte by byte, since what follows belongs to the tunnel.
        head.push(char::from(client.read_u8().await?));
    }
    Ok(head)
}

/// The port of `CONNECT 203.0.113.7:443 HTTP/1.1`; 0, where nobody listens, when it is something else.
fn port_of(head: &str) -> u16 {
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let port = target.and_then(|target| target.rsplit(':').next());
    port.and_then(|port| port.parse().ok()).unwrap_or_default()
}
