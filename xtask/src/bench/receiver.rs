//! A tiny HTTP/1.1 server on its own thread: the far end of `call: http`, and what the generator is
//! tested against.
//!
//! Invariant: answers every complete request at once with the same bytes; ends when dropped.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::histogram::Histogram;
use super::wire;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const LISTENER: Token = Token(usize::MAX);

/// A running receiver.
pub(crate) struct Receiver {
    addr: SocketAddr,
    answered: Arc<AtomicU64>,
    latency: Arc<Mutex<Histogram>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free loopback port.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = listener.local_addr()?;
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let latency = Arc::new(Mutex::new(Histogram::new()));
        let mut serving = Serving {
            poll: Poll::new()?,
            listener,
            connections: Vec::new(),
            answered: Arc::clone(&answered),
            latency: Arc::clone(&latency),
        };
        serving.poll.registry().register(&mut serving.listener, LISTENER, Interest::READABLE)?;
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serving.run(&stopped));
        Ok(Self { addr, answered, latency, stop, thread: Some(thread) })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How long deliveries took from the time in their body to here, in whole milliseconds.
    pub(crate) fn latency(&self) -> Histogram {
        self.latency.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |latency| latency.clone())
    }

    /// Requests answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

struct Serving {
    poll: Poll,
    listener: TcpListener,
    /// By token; a closed connection leaves its place free.
    connections: Vec<Option<Connection>>,
    answered: Arc<AtomicU64>,
    latency: Arc<Mutex<Histogram>>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Serving {
    fn run(mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(1024);
        while !stop.load(Ordering::Relaxed) {
            if self.poll.poll(&mut events, Some(Duration::from_millis(50))).is_err() {
                continue;
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                } else {
                    self.serve(event.token().0);
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let place = self.connections.iter().position(Option::is_none).unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let _slower = stream.set_nodelay(true);
            if self.poll.registry().register(&mut stream, Token(place), Interest::READABLE).is_ok() {
                self.connections[place] = Some(Connection { stream, buffer: vec![0; 16 * 1024], filled: 0 });
            }
        }
    }

    fn serve(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place).and_then(Option::as_mut) else { return };
        if !connection.serve(&self.answered, &self.latency) {
            self.connections[place] = None;
        }
    }
}

impl Connection {
    /// Answers what has arrived; false when the connection is over.
    fn serve(&mut self, answered: &AtomicU64, latency: &Mutex<Histogram>) -> bool {
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
            let room = self.buffer.len() - self.filled;
            let count = match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            self.filled += count;
            loop {
                match wire::head(&self.buffer[..self.filled]) {
                    Ok(Some(head)) if self.filled >= head.total_bytes => {
                        if let (Some(took), Ok(mut latency)) =
                            (age(&self.buffer[..head.total_bytes]), latency.lock())
                        {
                            latency.record(took);
                        }
                        self.buffer.copy_within(head.total_bytes..self.filled, 0);
                        self.filled -= head.total_bytes;
                        // Counted first: whoever has the answer finds it counted.
                        answered.fetch_add(1, Ordering::Relaxed);
                        // The answer is far smaller than any socket buffer, so a short write means a dead peer.
                        if !self.stream.write(ANSWER).is_ok_and(|written| written == ANSWER.len()) {
                            return false;
                        }
                    }
                    Ok(_) => break,
                    Err(_) => return false,
                }
            }
            if count < room {
                return true;
            }
        }
    }
}

/// How old a delivery is, by the time in its body; `None` for any other request.
fn age(request: &[u8]) -> Option<Duration> {
    const MEMBER: &[u8] = b"\"timestamp\":";
    let at = request.windows(MEMBER.len()).position(|window| window == MEMBER)? + MEMBER.len();
    let digits = request[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sent_ms: u64 = std::str::from_utf8(&request[at..at + digits]).ok()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.saturating_sub(Duration::from_millis(sent_ms)))
}
