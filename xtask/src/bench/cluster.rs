//! Runs on Temporal's development server beside the embedded engine, in one run: how many are dispatched and ended a
//! second, and how long one takes from its signal to its end.
//!
//! Invariant: the same binary, the same workflow, the same requests; only who drives differs. Calls are answered at once in
//! the process, so that what is measured is driving.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::lane::median;
use super::load::{self, Length, Plan};
use super::server::Server;
use super::table::{Section, number};
use super::{Bench, Findings, workflows};
use crate::{children, temporal};

const PATIENCE: Duration = Duration::from_mins(5);
const WORKFLOW: &str = "one-call";
/// Runs sent one after the other to see how long one takes.
const SINGLE: usize = 20;
/// Between two looks whether a run has ended.
const PACE: Duration = Duration::from_millis(10);

struct Variant {
    label: &'static str,
    server: Server,
    /// Runs of one round.
    runs: u64,
    rates: Vec<f64>,
    handed: Vec<f64>,
    times_ms: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let cluster = temporal::Server::start(&temporal::ensure_installed()?)?;
    let address = cluster.address();
    let mut variants = [
        variant(bench, "embedded", "embedded engine", &[], 20)?,
        variant(bench, "dispatcher", "Temporal, 4 dispatchers", &[("ADDRESS", &address)], 1)?,
        variant(
            bench,
            "direct",
            "Temporal, started directly",
            &[("ADDRESS", &address), ("DISPATCH", "direct")],
            1,
        )?,
    ];
    for round in 1..=bench.pace.rounds {
        for variant in &mut variants {
            if children::interrupted() {
                bail!("interrupted");
            }
            variant.measure().with_context(|| variant.label)?;
            println!(
                "  round {round}, {:<28} {:>9.0} runs/s",
                variant.label,
                variant.rates.last().unwrap_or(&0.0)
            );
        }
    }
    let mut section = Section::new(
        "Cluster: one call a run, answered at once; SQLite; Temporal's development server in memory",
        &["driven by", "runs", "handed over/s", "ended/s", "signal to end, p50 ms", "p95 ms"],
    );
    for variant in &mut variants {
        variant.times_ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (variant.times_ms.len() as f64 * share) as usize;
            variant.times_ms.get(place).map_or("—".to_owned(), |ms| number(*ms, 0))
        };
        let show = |values: &[f64]| {
            median(values.iter().copied()).map_or("—".to_owned(), |value| number(value, 0))
        };
        section.row([
            variant.label.to_owned(),
            number(variant.runs as f64, 0),
            show(&variant.handed),
            show(&variant.rates),
            at(0.5),
            at(0.95),
        ]);
    }
    section.note("the development server is one process on the same two cores, and not meant for load: it is the limit");
    findings.sections.push(section);
    Ok(())
}

fn variant(
    bench: &Bench,
    name: &str,
    label: &'static str,
    settings: &[(&str, &str)],
    batches: u64,
) -> Result<Variant> {
    let mut setup = bench.setup(&format!("cluster-{name}"))?.env("OPENEVENT_BENCH_CALLS", "instant");
    for (key, value) in settings {
        setup = setup.env(&format!("OPENEVENT_TEMPORAL_{key}"), value);
    }
    if !settings.is_empty() {
        setup = setup.env("OPENEVENT_TEMPORAL_TASK_QUEUE", name);
    }
    // Nobody is called: the address is never used.
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let setup = setup.workflow(WORKFLOW, &workflows::calls(WORKFLOW, 1, nobody))?;
    let server = Server::start(&setup).with_context(|| label.to_owned())?;
    let runs = if batches > 1 { batches * workflows::BATCH_MAX } else { bench.pace.cluster_runs };
    Ok(Variant { label, server, runs, rates: Vec::new(), handed: Vec::new(), times_ms: Vec::new() })
}

impl Variant {
    fn measure(&mut self) -> Result<()> {
        let before = self.server.runs_finished()?;
        let begun = Instant::now();
        let mut left = self.runs;
        while left > 0 {
            let count = left.min(workflows::BATCH_MAX);
            self.post(count)?;
            left -= count;
        }
        let mut handed_after = None;
        let deadline = begun + PATIENCE;
        loop {
            let finished = self.server.runs_finished()? - before;
            let is_handed = self.server.runs_in("pending")? == 0;
            if handed_after.is_none() && is_handed {
                handed_after = Some(begun.elapsed());
            }
            if finished >= self.runs {
                break;
            }
            if Instant::now() > deadline {
                bail!("only {finished} of {} runs ended", self.runs);
            }
            std::thread::sleep(PACE);
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.rates.push(self.runs as f64 / seconds);
        let handed = handed_after.map_or(seconds, |after| after.as_secs_f64());
        self.handed.push(self.runs as f64 / handed);
        for _ in 0..SINGLE {
            self.single()?;
        }
        Ok(())
    }

    /// One signal; notes how long its run took by the times its row shows.
    fn single(&mut self) -> Result<()> {
        let before = self.server.runs_finished()?;
        self.post(1)?;
        self.server.wait_for_runs(before + 1, PATIENCE)?;
        let answer = self.server.get("/api/v1/runs?limit=1")?;
        let page: serde_json::Value = serde_json::from_str(&answer.body)?;
        let run = &page["data"][0];
        let (Some(started), Some(ended)) = (run["startedAt"].as_f64(), run["endedAt"].as_f64()) else {
            bail!("the run has not ended: {run}");
        };
        self.times_ms.push(ended - started);
        Ok(())
    }

    fn post(&self, count: u64) -> Result<()> {
        let signal = workflows::starter(WORKFLOW);
        let requests = [workflows::batch(self.server.addr(), &self.server.key(), &signal, count)];
        let plan = Plan {
            addr: self.server.addr(),
            connections: 1,
            requests: &requests,
            length: Length::Requests(1),
        };
        let outcome = load::run(&plan)?;
        if outcome.refused > 0 {
            bail!("refused: {}", outcome.first_refusal.unwrap_or_default());
        }
        Ok(())
    }
}
