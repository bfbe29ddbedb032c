//! Deliveries per second to 1, 10 and 100 webhooks, and whether receivers that hang or refuse slow the others.
//!
//! Invariant: the clock runs from the first signal sent until the last delivery is seen and written down.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::engine::post as post_batches;
use super::receiver::Receiver;
use super::server::Server;
use super::table::{Goal, Section, number};
use super::wire;
use super::workflows::{self, BATCH_MAX};
use super::{Bench, Findings};
use crate::children;

const PATIENCE: Duration = Duration::from_mins(5);
const NAME: &str = "bench.order.created";
/// Signals a second while latencies are taken: far from what the machine can do.
const CALM_PER_SECOND: u32 = 40;
const ATTEMPTS: &str = "openevent_delivery_attempts_total";

pub(crate) fn run(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let mut section = Section::new(
        "Webhooks: deliveries per second, SQLite",
        &["webhooks", "deliveries", "deliveries/s", "server µs/delivery"],
    );
    let mut slowest: Option<f64> = None;
    for webhooks in [1_u64, 10, 100] {
        let measured = throughput(bench, webhooks)?;
        println!("  {webhooks:>3} webhooks {:>9.0} deliveries/s", measured.rate);
        slowest = Some(slowest.map_or(measured.rate, |slowest| slowest.min(measured.rate)));
        section.row([
            webhooks.to_string(),
            number(measured.deliveries as f64, 0),
            number(measured.rate, 0),
            number(measured.cpu_us, 1),
        ]);
    }
    section.note("signals come in batches of 1000 and are durable, as are deliveries and every attempt; generator and receivers share the machine");
    findings.sections.push(section);
    findings.target(
        "deliveries/s, written down, slowest of 1, 10, 100 webhooks",
        Goal::AtLeast(5_000.0),
        slowest,
        0,
    );
    isolation(bench, findings)
}

struct Measured {
    deliveries: u64,
    rate: f64,
    cpu_us: f64,
}

fn throughput(bench: &Bench, webhooks: u64) -> Result<Measured> {
    let receiver = Receiver::start()?;
    let server = Server::start(&bench.setup(&format!("delivery-{webhooks}"))?)?;
    for n in 0..webhooks {
        subscribe(&server, &format!("http://{}/{n}", receiver.addr()))?;
    }
    let signals = (bench.pace.runs / webhooks).max(1).next_multiple_of(BATCH_MAX);
    let deliveries = signals * webhooks;
    let (cpu, begun) = (server.cpu_seconds(), Instant::now());
    post_batches(&server, NAME, signals)?;
    wait(&server, &receiver, deliveries)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_us = (server.cpu_seconds() - cpu) * 1e6 / deliveries as f64;
    Ok(Measured { deliveries, rate: deliveries as f64 / seconds, cpu_us })
}

/// Until everything is received and nothing is left to be written down.
fn wait(server: &Server, receiver: &Receiver, deliveries: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = server.metric(ATTEMPTS)?.unwrap_or_default() as u64;
        if receiver.answered() >= deliveries && told >= deliveries {
            return Ok(());
        }
        if Instant::now() >= deadline || children::interrupted() {
            bail!("only {} of {deliveries} deliveries arrived, {told} attempts ended", receiver.answered());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// p50 and p99 from the signal's time to its arrival, at ten good receivers and at eight beside two bad ones.
fn isolation(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let alone = latency(bench, "delivery-calm", 10, &[])?;
    // Never accepted: the kernel opens the connection, and nobody answers.
    let hanging = TcpListener::bind("127.0.0.1:0")?;
    let refusing = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let beside = latency(bench, "delivery-beside", 8, &[hanging.local_addr()?, refusing])?;
    let mut section = Section::new(
        "Webhooks: milliseconds from a signal to its arrival, 40 signals/s",
        &["receivers", "p50", "p99"],
    );
    section.row(["10 good".to_owned(), number(alone.0, 1), number(alone.1, 1)]);
    section.row(["8 good, 1 hanging, 1 refusing".to_owned(), number(beside.0, 1), number(beside.1, 1)]);
    findings.sections.push(section);
    let ratio = (alone.1 > 0.0).then(|| beside.1 / alone.1);
    findings.target("p99 beside receivers that hang and refuse, × without them", Goal::AtMost(1.2), ratio, 2);
    Ok(())
}

fn latency(bench: &Bench, name: &str, good: u64, bad: &[SocketAddr]) -> Result<(f64, f64)> {
    let receiver = Receiver::start()?;
    let server = Server::start(&bench.setup(name)?)?;
    for n in 0..good {
        subscribe(&server, &format!("http://{}/{n}", receiver.addr()))?;
    }
    for addr in bad {
        subscribe(&server, &format!("http://{addr}/"))?;
    }
    let request = workflows::singles(server.addr(), "/api/v1/events", &server.key(), NAME);
    let pause = Duration::from_secs(1) / CALM_PER_SECOND;
    let signals = (bench.pace.measure.as_secs_f64() * 3.0 * f64::from(CALM_PER_SECOND)).max(40.0) as u64;
    for n in 0..signals {
        let due = Instant::now() + pause;
        expect(server.addr(), &request[n as usize % request.len()], "202")?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let deadline = Instant::now() + PATIENCE;
    while receiver.answered() < signals * good && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let latency = receiver.latency();
    Ok((latency.quantile_ms(0.5), latency.quantile_ms(0.99)))
}

fn subscribe(server: &Server, url: &str) -> Result<()> {
    let body = format!(r#"{{"name":"bench","url":"{url}","events":["*"]}}"#);
    expect(server.addr(), &wire::post(server.addr(), "/api/v1/webhooks", &server.key(), &body), "201")
}

/// Sends one request on a connection of its own; it must be answered with this status.
fn expect(addr: SocketAddr, request: &[u8], status: &str) -> Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request)?;
    let mut bytes = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut bytes[filled..]).context("no answer")?;
        filled += count;
        let whole =
            wire::head(&bytes[..filled]).ok().flatten().is_some_and(|head| filled >= head.total_bytes);
        if whole || count == 0 || filled == bytes.len() {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&bytes[..filled]);
    if answer.split_whitespace().nth(1) != Some(status) {
        bail!("expected {status}: {}", answer.lines().next().unwrap_or_default());
    }
    Ok(())
}
