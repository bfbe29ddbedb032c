//! Ingest as things grow: 0, 100 and 1 000 loaded workflows; 10 thousand and 5 million stored signals.
//!
//! Invariant: each size has its own server, measured in turn with the others.

use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;

use super::lane::{self, Lane};
use super::server::Server;
use super::table::Goal;
use super::{Bench, Findings, engine, workflows};

const CLIENTS: [usize; 1] = [64];
const INGEST: &str = "/api/v1/events";
/// Prefilled in pieces, so that a person sees it move.
const PIECE: u64 = 500_000;

/// Ingest at 64 clients with more and more definitions loaded, none of which listens.
pub(crate) fn loaded_workflows(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let mut lanes = Vec::new();
    for count in [0, 100, 1_000] {
        let mut setup = bench.setup(&format!("workflows-{count}"))?;
        for number in 0..count {
            let name = format!("w{number:04}");
            setup = setup.workflow(&name, &workflows::set(&name))?;
        }
        let server = Rc::new(Server::start(&setup)?);
        lanes.push(unheard(&label_workflows(count), &server));
    }
    lane::race(&mut lanes, &CLIENTS, &bench.pace);
    let title = "Ingest by number of loaded workflows";
    findings.sections.push(lane::section(title, &lanes, &CLIENTS, &label_workflows(0)));
    let share = share(&lanes, &label_workflows(1_000), &label_workflows(0));
    findings.target("ingest with 1 000 workflows of that with none", Goal::AtLeast(0.80), share, 2);
    Ok(())
}

/// Ingest at 64 clients into a small and a large table.
pub(crate) fn stored_signals(bench: &Bench, findings: &mut Findings) -> Result<()> {
    let (few, many) = (bench.pace.rows_few, bench.pace.rows_many);
    let mut lanes = Vec::new();
    for rows in [few, many] {
        let server = Rc::new(Server::start(&bench.setup(&format!("rows-{rows}"))?)?);
        prefill(&server, rows)?;
        lanes.push(unheard(&label_rows(rows), &server));
    }
    lane::race(&mut lanes, &CLIENTS, &bench.pace);
    let title = "Ingest by number of stored signals";
    findings.sections.push(lane::section(title, &lanes, &CLIENTS, &label_rows(few)));
    let share = share(&lanes, &label_rows(many), &label_rows(few));
    // The goal is set for 5 million; a smaller table proves less.
    let name = if many >= 5_000_000 {
        "ingest with 5 M stored signals of that with 10 k"
    } else {
        "ingest with many (fewer than 5 M) stored signals of that with few"
    };
    findings.target(name, Goal::AtLeast(0.90), share, 2);
    Ok(())
}

fn prefill(server: &Server, rows: u64) -> Result<()> {
    let begun = Instant::now();
    let mut stored = 0;
    while stored < rows {
        let piece = PIECE.min(rows - stored);
        engine::post(server, workflows::UNHEARD, piece)?;
        stored += piece;
        println!("  prefilled {stored} of {rows} signals in {:.0} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

fn unheard(label: &str, server: &Rc<Server>) -> Lane {
    Lane::new(label, server, workflows::singles(server.addr(), INGEST, &server.key(), workflows::UNHEARD))
}

fn share(lanes: &[Lane], part: &str, whole: &str) -> Option<f64> {
    let rate = |label: &str| Lane::find(lanes, label).and_then(|lane| lane.rate(CLIENTS[0]));
    Some(rate(part)? / rate(whole)?)
}

fn label_workflows(count: u32) -> String {
    format!("{count} workflows loaded")
}

fn label_rows(rows: u64) -> String {
    format!("{rows} signals stored")
}
