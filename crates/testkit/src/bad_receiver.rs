//! Servers that break HTTP, TLS or patience, for clients that must survive them.
//!
//! Invariant: each connection is misbehaved on in the same way, for as long as the client stays.
//! Not here: bad answers that are still HTTP (`receiver.rs` with a [`crate::Conduct`]).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

use crate::{PATIENCE, listener::Listener};

/// The ways to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Accepts, reads nothing and says nothing.
    Silence,
    /// A correct head, then one byte of the body every 20 ms.
    Drip,
    /// One byte of the head every 20 ms.
    DripHead,
    /// A body without end or announced length.
    Endless,
    /// Announces ten bytes, sends without end.
    LyingLength,
    /// Announces ten gigabytes and sends nothing of it.
    HugeLength,
    /// A head with headers without end.
    EndlessHead,
    /// Informational answers without end.
    InformationalForever,
    /// Closes after reading the request.
    CloseAtOnce,
    /// Closes in the middle of a chunk.
    CloseMidChunk,
    /// Speaks another protocol (SMTP).
    NotHttp,
    /// Answers an HTTP/2 preface's worth of frames.
    Http2Frames,
    /// A redirect to itself.
    RedirectCircle,
    /// Answers one request, then closes without having said so.
    CloseWhenIdle,
}

/// A TCP server on 127.0.0.1 that misbehaves.
#[derive(Debug)]
pub struct BadReceiver {
    listener: Listener,
    connections: Arc<AtomicUsize>,
    left: Arc<watch::Sender<usize>>,
}

impl BadReceiver {
    /// Starts on a free port.
    pub async fn start(how: Misbehaviour) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let left = Arc::new(watch::Sender::new(0));
        let farewell = Arc::clone(&left);
        let listener = Listener::start(move |stream| {
            counter.fetch_add(1, Ordering::SeqCst);
            let farewell = Arc::clone(&farewell);
            async move {
                // An error is the client giving up, which is what it is meant to do.
                let _ = misbehave(stream, how).await;
                farewell.send_modify(|count| *count += 1);
            }
        })
        .await;
        Self { listener, connections, left }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Its `http` URL for a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Waits until every connection accepted so far has ended, by the client's doing or its own; panics after
    /// [`crate::PATIENCE`]. A silent receiver does not notice.
    pub async fn wait_until_left(&self) {
        let mut left = self.left.subscribe();
        let all = timeout(PATIENCE, left.wait_for(|count| *count >= self.connections())).await.is_ok();
        assert!(all, "a connection is still open");
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

async fn misbehave(mut stream: TcpStream, how: Misbehaviour) -> std::io::Result<()> {
    if how == Misbehaviour::Silence {
        return std::future::pending().await;
    }
    read_head(&mut stream).await?;
    match how {
        Misbehaviour::Drip => {
            say(&mut stream, &format!("{OK}content-length: 100000\r\n\r\n")).await?;
            return drip(&mut stream, b".").await;
        }
        Misbehaviour::DripHead => {
            say(&mut stream, OK).await?;
            return drip(&mut stream, b"x").await;
        }
        Misbehaviour::Endless => return endless(&mut stream, "\r\n").await,
        Misbehaviour::LyingLength => return endless(&mut stream, "content-length: 10\r\n\r\n").await,
        Misbehaviour::HugeLength => {
            say(&mut stream, &format!("{OK}content-length: 10737418240\r\n\r\n")).await?;
            return read_head(&mut stream).await;
        }
        Misbehaviour::EndlessHead => {
            say(&mut stream, OK).await?;
            return repeat(&mut stream, &"x-more: and more\r\n".repeat(512)).await;
        }
        Misbehaviour::InformationalForever => {
            return repeat(&mut stream, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").await;
        }
        Misbehaviour::Silence | Misbehaviour::CloseAtOnce => {}
        Misbehaviour::CloseMidChunk => {
            say(&mut stream, &format!("{OK}transfer-encoding: chunked\r\n\r\n100\r\nhalf")).await?;
        }
        Misbehaviour::NotHttp => say(&mut stream, "220 mail.example ESMTP ready\r\n").await?,
        Misbehaviour::Http2Frames => stream.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64").await?,
        Misbehaviour::RedirectCircle => {
            let circle = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
            loop {
                say(&mut stream, circle).await?;
                read_head(&mut stream).await?;
            }
        }
        Misbehaviour::CloseWhenIdle => say(&mut stream, &format!("{OK}content-length: 2\r\n\r\nok")).await?,
    }
    stream.shutdown().await
}

/// Reads up to the blank line after the headers. (A body is left unread: these servers do not care.)
async fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&piece[..count]);
    }
    Ok(())
}

async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await
}

async fn drip(stream: &mut TcpStream, byte: &[u8]) -> std::io::Result<()> {
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    loop {
        drops.tick().await;
        stream.write_all(byte).await?;
    }
}

async fn endless(stream: &mut TcpStream, head_end: &str) -> std::io::Result<()> {
    say(stream, &format!("{OK}{head_end}")).await?;
    repeat(stream, &".".repeat(64 * 1024)).await
}

async fn repeat(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    loop {
        say(stream, text).await?;
    }
}
