//! Runs per second of the embedded engine: 1 and 5 calls, against a real receiver and with calls that
//! answer at once (which leaves interpreter, journal and commit).
//!
//! Invariant: the clock runs from the first signal sent to the last run ended.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::lane::median;
use super::load::{self, Length, Plan};
use super::receiver::Receiver;
use super::server::Server;
use super::table::{Goal, Section, number};
use super::{Bench, Findings, workflows};
use crate::children;

const PATIENCE: Duration = Duration::from_mins(5);
/// Connections that post the batches; more would only queue before the one writer.
const POSTERS: usize = 4;

struct Variant {
    label: &'static str,
    server: Server,
    signal: String,
    runs: u64,
    calls: u32,
    rates: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let receiver = Receiver::start()?;
    let runs = bench.pace.runs;
    let mut variants = [
        variant(bench, &receiver, "1 call, answered at once in-process", 1, runs, true)?,
        variant(bench, &receiver, "5 calls, answered at once in-process", 5, runs / 4, true)?,
        variant(bench, &receiver, "1 call over HTTP to loopback", 1, runs / 2, false)?,
        variant(bench, &receiver, "5 calls over HTTP to loopback", 5, runs / 8, false)?,
    ];
    let mut section = Section::new(
        "Engine: runs per second, SQLite",
        &["workflow", "runs", "runs/s", "calls/s", "server µs/run"],
    );
    let mut cpu = vec![0.0; variants.len()];
    for round in 1..=bench.pace.rounds {
        for (variant, cpu) in variants.iter_mut().zip(&mut cpu) {
            if children::interrupted() {
                bail!("interrupted");
            }
            let before = variant.server.cpu_seconds();
            match variant.measure() {
                Ok(rate) => {
                    println!("  round {round}, {:<44} {rate:>9.0} runs/s", variant.label);
                    variant.rates.push(rate);
                }
                Err(error) => section.note(format!("{}: {error:#}", variant.label)),
            }
            *cpu = (variant.server.cpu_seconds() - before) * 1e6 / variant.runs.max(1) as f64;
        }
    }
    for (variant, cpu) in variants.iter().zip(&cpu) {
        let rate = median(variant.rates.iter().copied());
        let show = |value: Option<f64>| value.map_or("—".to_owned(), |value| number(value, 0));
        let calls = rate.map(|rate| rate * f64::from(variant.calls));
        let runs = number(variant.runs as f64, 0);
        section.row([variant.label.to_owned(), runs, show(rate), show(calls), number(*cpu, 1)]);
    }
    let expected = variants
        .iter()
        .filter(|one| one.label.contains("HTTP"))
        .map(|one| u64::from(one.calls) * one.runs * one.rates.len() as u64);
    section.note(format!(
        "the receiver answered {} calls, at least {} expected",
        receiver.answered(),
        expected.sum::<u64>()
    ));
    findings.sections.push(section);
    let rate = |at: usize| median(variants[at].rates.iter().copied());
    findings.target("one-call runs/s, answered in-process", Goal::AtLeast(15_000.0), rate(0), 0);
    findings.target("one-call runs/s, over HTTP to loopback", Goal::AtLeast(15_000.0), rate(2), 0);
    Ok(())
}

fn variant(
    bench: &Bench,
    receiver: &Receiver,
    label: &'static str,
    calls: u32,
    runs: u64,
    instant: bool,
) -> Result<Variant> {
    let name = if calls == 1 { "one-call" } else { "five-calls" };
    let kind = if instant { "instant" } else { "http" };
    let mut setup = bench.setup(&format!("engine-{name}-{kind}"))?;
    if instant {
        setup = setup.env("OPENEVENT_BENCH_CALLS", "instant");
    }
    let setup = setup.workflow(name, &workflows::calls(name, calls, receiver.addr()))?;
    let server = Server::start(&setup).with_context(|| label.to_owned())?;
    let runs = runs.next_multiple_of(workflows::BATCH_MAX);
    Ok(Variant { label, server, signal: workflows::starter(name), runs, calls, rates: Vec::new() })
}

impl Variant {
    fn measure(&self) -> Result<f64> {
        let before = self.server.runs_finished()?;
        let begun = Instant::now();
        post(&self.server, &self.signal, self.runs)?;
        self.server.wait_for_runs(before + self.runs, PATIENCE)?;
        Ok(self.runs as f64 / begun.elapsed().as_secs_f64())
    }
}

/// Posts `count` signals in batches, at full speed; every batch must be accepted.
pub(crate) fn post(server: &Server, signal: &str, count: u64) -> Result<()> {
    let requests = [workflows::batch(server.addr(), &server.key(), signal, workflows::BATCH_MAX)];
    let length = Length::Requests(count.div_ceil(workflows::BATCH_MAX));
    let plan = Plan { addr: server.addr(), connections: POSTERS, requests: &requests, length };
    let outcome = load::run(&plan)?;
    if outcome.refused > 0 {
        bail!("{} batches refused, first: {}", outcome.refused, outcome.first_refusal.unwrap_or_default());
    }
    Ok(())
}
