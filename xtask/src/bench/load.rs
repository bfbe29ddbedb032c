//! The load generator: N keep-alive connections on one thread, each with one request in flight.
//!
//! Invariant: a closed loop; the next request of a connection leaves when its answer is complete, so a
//! slow server is asked less often. Bounded: by time or by count, and it gives up on a silent server.
//! Deliberately not here: what is sent; requests come ready-made.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};

use super::histogram::Histogram;
use super::wire::{self, Unreadable};

/// An answer larger than this is not one a benchmark asks for.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const SILENCE_MAX: Duration = Duration::from_secs(30);
const DRAIN_MAX: Duration = Duration::from_secs(10);
const RECONNECTS_MAX: usize = 1_000;

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// Measure this long, after a warm-up that is not recorded.
    Time { warm_up: Duration, measure: Duration },
    /// Send exactly so many requests; all are recorded.
    Requests(u64),
}

/// One load.
pub(crate) struct Plan<'a> {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: usize,
    /// Sent in turn, over and over.
    pub(crate) requests: &'a [Vec<u8>],
    pub(crate) length: Length,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Good (2xx) answers within the measured time.
    pub(crate) latency: Histogram,
    /// Length of the measured time.
    pub(crate) seconds: f64,
    /// Good answers, warm-up included.
    pub(crate) answered: u64,
    /// Other answers, warm-up included.
    pub(crate) refused: u64,
    pub(crate) first_refusal: Option<String>,
    /// Processor time of this generator.
    pub(crate) cpu: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.latency.count() as f64 / self.seconds.max(1e-9)
    }
}

/// Runs the plan on the calling thread.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Outcome> {
    let mut generator = Generator::connect(plan)?;
    let cpu_before = cpu_of_this_thread();
    let begun = Instant::now();
    generator.begin(begun);
    let mut events = Events::with_capacity(1024);
    let mut heard = begun;
    while !generator.finished(Instant::now()) {
        match generator.poll.poll(&mut events, Some(Duration::from_millis(50))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            done => done?,
        }
        if crate::children::interrupted() {
            bail!("interrupted");
        }
        if !events.is_empty() {
            heard = Instant::now();
        } else if heard.elapsed() > SILENCE_MAX {
            bail!("the server was silent for {} s", SILENCE_MAX.as_secs());
        }
        for event in &events {
            generator.serve(event.token())?;
        }
    }
    Ok(generator.outcome(cpu_of_this_thread().saturating_sub(cpu_before)))
}

struct Generator<'a> {
    plan: &'a Plan<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    next_request: usize,
    /// Requests that may still leave.
    left: u64,
    in_flight: usize,
    reconnects: usize,
    begun: Instant,
    record_from: Instant,
    record_until: Option<Instant>,
    last_answer: Instant,
    outcome: Tally,
}

#[derive(Default)]
struct Tally {
    latency: Option<Histogram>,
    answered: u64,
    refused: u64,
    first_refusal: Option<String>,
}

struct Connection {
    stream: TcpStream,
    /// Which request is in flight, how much of it has left, and since when.
    request: usize,
    written: usize,
    sent_at: Option<Instant>,
    buffer: Vec<u8>,
    filled: usize,
}

impl<'a> Generator<'a> {
    fn connect(plan: &'a Plan<'a>) -> Result<Self> {
        let now = Instant::now();
        let mut generator = Self {
            plan,
            poll: Poll::new()?,
            connections: Vec::with_capacity(plan.connections),
            next_request: 0,
            left: u64::MAX,
            in_flight: 0,
            reconnects: 0,
            begun: now,
            record_from: now,
            record_until: None,
            last_answer: now,
            outcome: Tally { latency: Some(Histogram::new()), ..Tally::default() },
        };
        for id in 0..plan.connections {
            let connection = generator.open(id)?;
            generator.connections.push(connection);
        }
        Ok(generator)
    }

    fn open(&self, id: usize) -> Result<Connection> {
        let stream = std::net::TcpStream::connect(self.plan.addr)
            .with_context(|| format!("cannot connect to {}", self.plan.addr))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(id), interest)?;
        let buffer = vec![0; 8 * 1024];
        Ok(Connection { stream, request: 0, written: 0, sent_at: None, buffer, filled: 0 })
    }

    /// Sets the clock and sends the first request of every connection.
    fn begin(&mut self, now: Instant) {
        self.begun = now;
        match self.plan.length {
            Length::Time { warm_up, measure } => {
                self.record_from = now + warm_up;
                self.record_until = Some(now + warm_up + measure);
            }
            Length::Requests(count) => {
                self.record_from = now;
                self.left = count;
            }
        }
        for id in 0..self.connections.len() {
            self.send_next(id, Instant::now());
        }
    }

    /// No request may leave any more, and the last answers are in (or not worth waiting for).
    fn finished(&self, now: Instant) -> bool {
        let over = self.record_until.is_some_and(|until| now >= until);
        let drained = self.in_flight == 0;
        let patience = self.record_until.is_some_and(|until| now >= until + DRAIN_MAX);
        (over || self.left == 0) && drained || patience
    }

    fn send_next(&mut self, id: usize, now: Instant) {
        if self.left == 0 || self.record_until.is_some_and(|until| now >= until) {
            return;
        }
        self.left -= 1;
        let connection = &mut self.connections[id];
        connection.request = self.next_request;
        connection.written = 0;
        connection.sent_at = Some(now);
        self.next_request = (self.next_request + 1) % self.plan.requests.len();
        self.in_flight += 1;
        connection.write(&self.plan.requests[connection.request]);
    }

    /// Moves one connection on as far as it goes without waiting.
    fn serve(&mut self, token: Token) -> Result<()> {
        let connection = &mut self.connections[token.0];
        if connection.sent_at.is_some() {
            connection.write(&self.plan.requests[connection.request]);
        }
        match connection.read()? {
            Progress::Wait => {}
            Progress::Closed => self.reconnect(token.0)?,
            Progress::Answer(status) => {
                let Some(sent_at) = connection.sent_at.take() else {
                    bail!("the server sent an answer nobody asked for");
                };
                self.in_flight -= 1;
                let now = Instant::now();
                self.count(token.0, status, sent_at, now);
                self.connections[token.0].filled = 0;
                self.send_next(token.0, now);
            }
        }
        Ok(())
    }

    fn count(&mut self, id: usize, status: u16, sent_at: Instant, now: Instant) {
        if !(200..300).contains(&status) {
            self.outcome.refused += 1;
            if self.outcome.first_refusal.is_none() {
                let connection = &self.connections[id];
                let text = String::from_utf8_lossy(&connection.buffer[..connection.filled]);
                let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
                self.outcome.first_refusal =
                    Some(format!("{status} {}", body.chars().take(200).collect::<String>()));
            }
            return;
        }
        self.outcome.answered += 1;
        self.last_answer = now;
        let in_time = self.record_until.is_none_or(|until| now <= until);
        if let Some(latency) = self.outcome.latency.as_mut().filter(|_| in_time && now >= self.record_from) {
            latency.record(now - sent_at);
        }
    }

    fn reconnect(&mut self, id: usize) -> Result<()> {
        self.reconnects += 1;
        if self.reconnects > RECONNECTS_MAX {
            bail!("the server closed more than {RECONNECTS_MAX} connections");
        }
        let lost = self.connections[id].sent_at.is_some();
        self.connections[id] = self.open(id)?;
        if lost {
            self.in_flight -= 1;
            self.outcome.refused += 1;
            self.outcome.first_refusal.get_or_insert_with(|| "connection closed".to_owned());
        }
        self.send_next(id, Instant::now());
        Ok(())
    }

    fn outcome(self, cpu: Duration) -> Outcome {
        let end = self.record_until.unwrap_or(self.last_answer);
        Outcome {
            latency: self.outcome.latency.unwrap_or_else(Histogram::new),
            seconds: end.saturating_duration_since(self.record_from).as_secs_f64(),
            answered: self.outcome.answered,
            refused: self.outcome.refused,
            first_refusal: self.outcome.first_refusal,
            cpu,
        }
    }
}

enum Progress {
    Wait,
    Closed,
    Answer(u16),
}

impl Connection {
    /// Writes what is left of the request; a full socket buffer goes on with the next event.
    fn write(&mut self, request: &[u8]) {
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Not now, or broken: then the next read says so.
                Err(_) => return,
            }
        }
    }

    fn read(&mut self) -> Result<Progress> {
        loop {
            if self.filled == self.buffer.len() {
                if self.filled >= ANSWER_BYTES_MAX {
                    bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                }
                self.buffer.resize(self.filled * 2, 0);
            }
            let room = self.buffer.len() - self.filled;
            let count = match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(Progress::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Wait),
                Err(_) => return Ok(Progress::Closed),
            };
            self.filled += count;
            match wire::head(&self.buffer[..self.filled]) {
                Ok(Some(head)) if self.filled >= head.total_bytes => {
                    return Ok(Progress::Answer(head.status));
                }
                // A short read emptied the socket: the next bytes raise a new event.
                Ok(_) if count < room => return Ok(Progress::Wait),
                Ok(_) => {}
                Err(Unreadable::Chunked) => {
                    bail!("the server answers in chunks, which this client does not read")
                }
                Err(Unreadable::Malformed) => bail!("the server's answer is not HTTP/1.1"),
            }
        }
    }
}

fn cpu_of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::super::receiver::Receiver;
    use super::*;

    fn plan<'a>(receiver: &Receiver, requests: &'a [Vec<u8>], length: Length) -> Plan<'a> {
        Plan { addr: receiver.addr(), connections: 8, requests, length }
    }

    #[test]
    fn exactly_the_asked_number_of_requests_is_sent() {
        let receiver = Receiver::start().expect("a receiver");
        let requests = [wire::post(receiver.addr(), "/", &wire::Credential::DevToken, "{}")];

        let outcome = run(&plan(&receiver, &requests, Length::Requests(1_003))).expect("an outcome");

        assert_eq!((outcome.answered, outcome.refused), (1_003, 0));
        assert_eq!((receiver.answered(), outcome.latency.count()), (1_003, 1_003));
    }

    #[test]
    fn requests_larger_than_the_socket_buffer_arrive_whole() {
        let receiver = Receiver::start().expect("a receiver");
        let body = format!("\"{}\"", "x".repeat(6_000_000));
        let requests = [wire::post(receiver.addr(), "/", &wire::Credential::DevToken, &body)];

        let outcome = run(&plan(&receiver, &requests, Length::Requests(16))).expect("an outcome");

        assert_eq!((outcome.answered, receiver.answered()), (16, 16));
    }

    #[test]
    fn the_warm_up_is_answered_but_not_recorded() {
        let receiver = Receiver::start().expect("a receiver");
        let requests = [wire::post(receiver.addr(), "/", &wire::Credential::DevToken, "{}")];
        let (warm_up, measure) = (Duration::from_millis(30), Duration::from_millis(30));

        let outcome =
            run(&plan(&receiver, &requests, Length::Time { warm_up, measure })).expect("an outcome");

        assert!(outcome.latency.count() < outcome.answered);
        assert_eq!(outcome.answered, receiver.answered());
        assert!((outcome.seconds - 0.03).abs() < 1e-9);
    }
}
