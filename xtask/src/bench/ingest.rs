//! Ingest, side by side: (a) acknowledged only, (b) durable on SQLite, (c) on PostgreSQL, (d) starting a
//! run, (e) one transaction per request; each at 1, 64 and 256 clients.
//!
//! Invariant: same router, same middleware, same bodies; only what is named differs.

use std::rc::Rc;

use anyhow::Result;

use super::lane::{self, Lane};
use super::server::{Server, Setup};
use super::table::Goal;
use super::wire::Credential;
use super::{Bench, Findings, workflows};
use crate::postgres::{self, Cluster};

const CLIENTS: [usize; 3] = [1, 64, 256];
const INGEST: &str = "/api/v1/events";
const ACK: &str = "(a) acknowledged, not stored";
const SQLITE: &str = "(b) durable, SQLite";
const POSTGRES: &str = "(c) durable, PostgreSQL";
const RUN: &str = "(d) durable and starts a run, SQLite";
const SINGLE: &str = "(e) one transaction per request, SQLite";
const ACK_TOKEN: &str = "(a) with the static token";
const SQLITE_TOKEN: &str = "(b) with the static token";

pub(crate) fn run(bench: &Bench, findings: &mut Findings) -> Result<()> {
    // Before the lanes, so that it outlives their servers.
    let postgres = start_postgres(bench);
    let mut lanes = Vec::new();
    let plain = bench.setup("ingest-sqlite")?.env("OPENEVENT_BENCH", "1");
    let plain = Rc::new(Server::start(&plain)?);
    lanes.push(lane(ACK, &plain, "/bench/ack", &plain.key(), workflows::UNHEARD));
    lanes.push(lane(SQLITE, &plain, INGEST, &plain.key(), workflows::UNHEARD));

    match postgres.as_ref().map(|(_, setup)| Server::start(setup)) {
        Ok(Ok(server)) => {
            let server = Rc::new(server);
            lanes.push(lane(POSTGRES, &server, INGEST, &server.key(), workflows::UNHEARD));
        }
        Ok(Err(error)) => findings.remark(format!("{POSTGRES}: {error:#}")),
        Err(error) => findings.remark(format!("{POSTGRES}: {error:#}")),
    }

    let runs = bench.setup("ingest-runs")?.workflow("set", &workflows::set("set"))?;
    match Server::start(&runs) {
        Ok(server) => {
            let server = Rc::new(server);
            let name = workflows::starter("set");
            lanes.push(lane(RUN, &server, INGEST, &server.key(), &name).that_starts_runs());
        }
        Err(error) => findings.remark(format!("{RUN}: {error:#}")),
    }

    let single = bench.setup("ingest-single")?.env("OPENEVENT_BENCH_GROUP_MAX", "1");
    let single = Rc::new(Server::start(&single)?);
    lanes.push(lane(SINGLE, &single, INGEST, &single.key(), workflows::UNHEARD));
    lanes.push(lane(ACK_TOKEN, &plain, "/bench/ack", &Credential::DevToken, workflows::UNHEARD));
    lanes.push(lane(SQLITE_TOKEN, &plain, INGEST, &Credential::DevToken, workflows::UNHEARD));

    lane::race(&mut lanes, &CLIENTS, &bench.pace);
    findings.sections.push(lane::section("Ingest: requests per second", &lanes, &CLIENTS, ACK));
    judge(&lanes, findings);
    Ok(())
}

fn lane(label: &str, server: &Rc<Server>, path: &str, credential: &Credential, name: &str) -> Lane {
    Lane::new(label, server, workflows::singles(server.addr(), path, credential, name))
}

fn start_postgres(bench: &Bench) -> Result<(Cluster, Setup)> {
    let cluster = Cluster::start(&postgres::ensure_installed()?, bench.disk())?;
    let url = cluster.create_database("openevent_bench")?;
    let setup = bench.setup("ingest-postgres")?.env("DATABASE_URL", &url);
    Ok((cluster, setup))
}

fn judge(lanes: &[Lane], findings: &mut Findings) {
    let rate = |label: &str, clients| Lane::find(lanes, label).and_then(|lane| lane.rate(clients));
    let ratio = |above: &str, below: &str, clients| Some(rate(above, clients)? / rate(below, clients)?);
    findings.target("durable ingest of (a), 64 clients", Goal::AtLeast(0.20), ratio(SQLITE, ACK, 64), 2);
    findings.target("durable ingest of (a), 256 clients", Goal::AtLeast(0.25), ratio(SQLITE, ACK, 256), 2);
    let grouped = ratio(SQLITE, SINGLE, 64);
    findings.target("group commit × one transaction per request, 64 clients", Goal::AtLeast(8.0), grouped, 1);
    findings.target("PostgreSQL of SQLite, 64 clients", Goal::AtLeast(0.7), ratio(POSTGRES, SQLITE, 64), 2);
    findings.target("PostgreSQL of SQLite, 256 clients", Goal::AtLeast(0.7), ratio(POSTGRES, SQLITE, 256), 2);
}
