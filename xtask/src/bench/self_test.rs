//! `cargo xtask bench --self-test`: is the generator itself cheap enough to measure with?
//!
//! Invariant: needs no server of ours; the far end is the built-in receiver on the other core.

use std::time::Duration;

use anyhow::{Result, bail};

use super::load::{self, Length, Plan};
use super::receiver::Receiver;
use super::wire::{self, Credential};

/// Requests per second the generator must manage at 64 clients, so that it is not what is measured.
const GOAL: f64 = 150_000.0;

pub(crate) fn run() -> Result<()> {
    let receiver = Receiver::start()?;
    let body = r#"{"name":"bench.self","payload":{"n":1}}"#;
    let requests = [wire::post(receiver.addr(), "/", &Credential::DevToken, body)];
    println!("| clients | req/s | p50 ms | p99 ms | generator µs/req |");
    println!("|---:|---:|---:|---:|---:|");
    let length = Length::Time { warm_up: Duration::from_millis(300), measure: Duration::from_secs(2) };
    for connections in [1, 64, 256] {
        let plan = Plan { addr: receiver.addr(), connections, requests: &requests, length };
        let outcome = load::run(&plan)?;
        if outcome.refused > 0 {
            bail!("{} refused: {:?}", outcome.refused, outcome.first_refusal);
        }
        let (rate, p50) = (outcome.per_second(), outcome.latency.quantile_ms(0.5));
        let p99 = outcome.latency.quantile_ms(0.99);
        let cpu = outcome.cpu.as_secs_f64() * 1e6 / outcome.answered.max(1) as f64;
        println!("| {connections} | {rate:.0} | {p50:.3} | {p99:.3} | {cpu:.2} |");
        if connections == 64 {
            let verdict = if rate >= GOAL { "PASS" } else { "MISS" };
            println!("| | {verdict}: goal {GOAL:.0} at 64 | | | |");
        }
    }
    println!("receiver answered {} requests", receiver.answered());
    Ok(())
}
