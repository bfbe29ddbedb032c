//! Lanes: scenarios that are measured in turn, round after round, so that a noisy minute of the machine
//! hits all of them alike.
//!
//! Invariant: what is reported is the median over the rounds, each figure for itself.
//! Deliberately not here: what the scenarios are.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;

use super::Pace;
use super::load::{self, Length, Plan};
use super::server::Server;
use super::table::{Section, number};
use crate::children;

/// Runs that a load has started must have ended before the next lane is measured.
const SETTLE_PATIENCE: Duration = Duration::from_mins(3);

/// One scenario: a server and what is sent to it.
pub(crate) struct Lane {
    label: String,
    server: Rc<Server>,
    requests: Vec<Vec<u8>>,
    starts_runs: bool,
    accepted: u64,
    taken: Vec<(usize, Sample)>,
    trouble: Vec<String>,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Processor time per request, of the server and of the generator.
    pub(crate) server_us: f64,
    pub(crate) client_us: f64,
}

impl Lane {
    pub(crate) fn new(label: &str, server: &Rc<Server>, requests: Vec<Vec<u8>>) -> Self {
        Self {
            label: label.to_owned(),
            server: Rc::clone(server),
            requests,
            starts_runs: false,
            accepted: 0,
            taken: Vec::new(),
            trouble: Vec::new(),
        }
    }

    /// Each request starts one run; they are waited for before the next lane has its turn.
    pub(crate) fn that_starts_runs(mut self) -> Self {
        self.starts_runs = true;
        self
    }

    fn measure(&mut self, clients: usize, pace: &Pace) {
        match self.try_measure(clients, pace) {
            Ok(sample) => self.taken.push((clients, sample)),
            Err(error) => self.trouble.push(format!("{} at {clients}: {error:#}", self.label)),
        }
    }

    fn try_measure(&mut self, clients: usize, pace: &Pace) -> Result<Sample> {
        let length = Length::Time { warm_up: pace.warm_up, measure: pace.measure };
        let before = self.server.cpu_seconds();
        let plan = Plan { addr: self.server.addr(), connections: clients, requests: &self.requests, length };
        let outcome = load::run(&plan)?;
        let server_cpu = self.server.cpu_seconds() - before;
        if outcome.refused > 0 {
            let first = outcome.first_refusal.as_deref().unwrap_or_default();
            self.trouble
                .push(format!("{} at {clients}: {} refused, first: {first}", self.label, outcome.refused));
        }
        if self.starts_runs {
            self.accepted += outcome.answered;
            self.server.wait_for_runs(self.accepted, SETTLE_PATIENCE)?;
        }
        let answered = outcome.answered.max(1) as f64;
        Ok(Sample {
            per_second: outcome.per_second(),
            p50_ms: outcome.latency.quantile_ms(0.5),
            p99_ms: outcome.latency.quantile_ms(0.99),
            server_us: server_cpu * 1e6 / answered,
            client_us: outcome.cpu.as_secs_f64() * 1e6 / answered,
        })
    }

    pub(crate) fn find<'a>(lanes: &'a [Lane], label: &str) -> Option<&'a Lane> {
        lanes.iter().find(|lane| lane.label == label)
    }

    /// The median over the rounds.
    pub(crate) fn result(&self, clients: usize) -> Option<Sample> {
        let taken: Vec<Sample> =
            self.taken.iter().filter(|(at, _)| *at == clients).map(|(_, sample)| *sample).collect();
        Some(Sample {
            per_second: median(taken.iter().map(|one| one.per_second))?,
            p50_ms: median(taken.iter().map(|one| one.p50_ms))?,
            p99_ms: median(taken.iter().map(|one| one.p99_ms))?,
            server_us: median(taken.iter().map(|one| one.server_us))?,
            client_us: median(taken.iter().map(|one| one.client_us))?,
        })
    }

    /// Requests per second; absent when nothing could be measured.
    pub(crate) fn rate(&self, clients: usize) -> Option<f64> {
        self.result(clients).map(|sample| sample.per_second).filter(|rate| *rate > 0.0)
    }
}

/// Measures all lanes in turn, `pace.rounds` times.
pub(crate) fn race(lanes: &mut [Lane], clients: &[usize], pace: &Pace) {
    for round in 1..=pace.rounds {
        for clients in clients {
            for lane in lanes.iter_mut() {
                if children::interrupted() {
                    return;
                }
                lane.measure(*clients, pace);
                let rate = lane.taken.last().map_or(0.0, |(_, sample)| sample.per_second);
                println!("  round {round}, {clients:>3} clients, {:<44} {rate:>9.0}/s", lane.label);
            }
        }
    }
}

/// All lanes as one table; `base` is the lane the others are compared with.
pub(crate) fn section(title: &str, lanes: &[Lane], clients: &[usize], base: &str) -> Section {
    let header =
        ["scenario", "clients", "req/s", "of base", "p50 ms", "p99 ms", "server µs/req", "client µs/req"];
    let mut section = Section::new(title, &header);
    let base = Lane::find(lanes, base);
    for clients in clients {
        for lane in lanes {
            let Some(sample) = lane.result(*clients) else {
                section.row([lane.label.as_str(), &clients.to_string(), "—", "—", "—", "—", "—", "—"]);
                continue;
            };
            let share = base.and_then(|base| base.rate(*clients)).map(|rate| sample.per_second / rate);
            section.row([
                lane.label.clone(),
                clients.to_string(),
                number(sample.per_second, 0),
                share.map_or("—".to_owned(), |share| number(share, 2)),
                number(sample.p50_ms, 2),
                number(sample.p99_ms, 2),
                number(sample.server_us, 1),
                number(sample.client_us, 1),
            ]);
        }
    }
    troubles(lanes).for_each(|trouble| section.note(trouble));
    section
}

/// What went wrong, of all lanes.
pub(crate) fn troubles(lanes: &[Lane]) -> impl Iterator<Item = &String> {
    lanes.iter().flat_map(|lane| &lane.trouble)
}

/// The middle value, or the mean of the two; `None` of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }
}
