//! What the server costs when nothing happens: start-up time, idle memory, and how fast parked runs come
//! back after a restart.
//!
//! Invariant: start-up is from spawning the process to its `listening on` line.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::lane::median;
use super::server::Server;
use super::table::{Goal, Section, number};
use super::{Bench, Findings, engine, workflows};
use crate::children;

const IDLE_AFTER: Duration = Duration::from_secs(3);
const PARK_PATIENCE: Duration = Duration::from_mins(5);
const RESTORE_PATIENCE: Duration = Duration::from_mins(2);

/// Start-up and idle memory on an empty database.
pub(crate) fn idle(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let setup = bench.setup("idle")?;
    let first = Server::start_without_key(&setup)?;
    let first_ms = millis(first.started_in());
    first.stop()?;
    let mut starts = Vec::new();
    for _ in 0..bench.pace.starts {
        let server = Server::start_without_key(&setup)?;
        starts.push(millis(server.started_in()));
        server.stop()?;
    }
    let server = Server::start_without_key(&setup)?;
    std::thread::sleep(IDLE_AFTER);
    let resident = server.resident_mib()?;
    let cpu_before = server.cpu_seconds();
    std::thread::sleep(IDLE_AFTER);
    let cpu = (server.cpu_seconds() - cpu_before) / IDLE_AFTER.as_secs_f64() * 100.0;
    server.stop()?;

    let start = median(starts.iter().copied());
    let mut section = Section::new("Footprint", &["what", "measured"]);
    section.row(["first start, with migrations, ms".to_owned(), number(first_ms, 0)]);
    let label = format!("start, median of {}, ms", starts.len());
    section.row([label, start.map_or("—".to_owned(), |start| number(start, 0))]);
    section.row(["idle memory after 3 s (resident), MiB".to_owned(), number(resident, 1)]);
    section.row(["idle processor use, % of one core".to_owned(), number(cpu, 1)]);
    findings.sections.push(section);
    findings.target("start, ms", Goal::AtMost(200.0), start, 0);
    findings.target("idle memory, MiB", Goal::AtMost(50.0), Some(resident), 1);
    Ok(())
}

/// Restart with many runs that wait for tomorrow.
pub(crate) fn restore(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let parked = bench.pace.parked;
    let setup = bench.setup("restore")?.workflow("parked", &workflows::parked("parked"))?;
    let server = Server::start(&setup)?;
    engine::post(&server, &workflows::starter("parked"), parked)?;
    let waiting = wait_until_parked(&server, parked)?;
    let resident_before = server.resident_mib()?;
    println!("  {waiting} runs are parked; restarting");
    server.stop()?;

    let begun = Instant::now();
    let server = Server::start_without_key(&setup)?;
    let listening_ms = millis(server.started_in());
    let restore_ms = wait_for_restore(&server)?;
    let ready_ms = millis(begun.elapsed());
    let resident = server.resident_mib()?;
    server.stop()?;

    let title = format!("Restart with {} parked runs", number(parked as f64, 0));
    let mut section = Section::new(&title, &["what", "measured"]);
    section.row(["restore, as the server tells, ms".to_owned(), number(restore_ms, 0)]);
    section.row(["spawn to `listening on`, ms".to_owned(), number(listening_ms, 0)]);
    section.row(["spawn to restored, ms".to_owned(), number(ready_ms, 0)]);
    section.row(["resident memory before, MiB".to_owned(), number(resident_before, 0)]);
    section.row(["resident memory after, MiB".to_owned(), number(resident, 0)]);
    findings.sections.push(section);
    let name = if parked >= 100_000 {
        "restore of 100 000 parked runs, ms"
    } else {
        "restore of parked runs (fewer), ms"
    };
    findings.target(name, Goal::AtMost(3_000.0), Some(restore_ms.max(ready_ms)), 0);
    Ok(())
}

fn wait_until_parked(server: &Server, wanted: u64) -> Result<u64> {
    let deadline = Instant::now() + PARK_PATIENCE;
    loop {
        let waiting = server.runs_in("waiting")?;
        if waiting >= wanted {
            return Ok(waiting);
        }
        if Instant::now() >= deadline || children::interrupted() {
            bail!("only {waiting} of {wanted} runs are waiting after {} s", PARK_PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The gauge appears when all runs are back.
fn wait_for_restore(server: &Server) -> Result<f64> {
    let deadline = Instant::now() + RESTORE_PATIENCE;
    loop {
        match server.metric("openevent_engine_restore_ms")? {
            Some(millis) if millis > 0.0 => return Ok(millis),
            _ if Instant::now() >= deadline || children::interrupted() => {
                bail!("the server never told openevent_engine_restore_ms");
            }
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
