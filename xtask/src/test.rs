//! `cargo xtask test`: from a bare Debian machine with Rust to all tests run, in one command.
//!
//! Invariant: the exit code is 0 only if every test passed, and the throw-away services are gone either
//! way. Deliberately not here: tests; the suites live with the crates they test.

use std::process::Command;

use anyhow::{Result, bail};

use crate::postgres::{self, Cluster};
use crate::{browser, children, cmd, receivers, redis, temporal, tools};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed to `cargo nextest run`, after `--`: a name filter, `-p PACKAGE`, `--no-capture`, …
    /// With any of them only nextest runs, without the doc tests.
    #[arg(last = true)]
    nextest: Vec<String>,
    /// Only install what the tests need.
    #[arg(long)]
    setup_only: bool,
    /// Only the tests on a Temporal cluster, with their own build; without this they come first.
    #[arg(long)]
    temporal: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let bin_dir = postgres::ensure_installed()?;
    let browser = browser::ensure_installed()?;
    redis::ensure_installed()?;
    let receivers = receivers::ensure_installed()?;
    tools::NEXTEST.ensure()?;
    let on_temporal = args.temporal || args.nextest.is_empty();
    let temporal = if on_temporal || args.setup_only { Some(temporal::ensure_installed()?) } else { None };
    if args.setup_only {
        return Ok(());
    }
    let cluster = Cluster::start(&bin_dir, &std::env::temp_dir())?;
    let with_services = |command: &mut Command| {
        command
            .env("OPENEVENT_TEST_DATABASE_URL", cluster.url())
            .env("OPENEVENT_TEST_POSTGRES_BIN", &bin_dir)
            .env("OPENEVENT_TEST_BROWSER", &browser)
            .env("OPENEVENT_TEST_PYTHON", &receivers.python)
            .env("OPENEVENT_TEST_NODE_PATH", &receivers.node_path);
        cmd::run(command)
    };
    let on_cluster = match temporal {
        Some(program) => {
            let server = temporal::Server::start(&program)?;
            let mut command = cmd::cargo();
            command
                .args(["nextest", "run"])
                .args(ON_TEMPORAL)
                .args(args.nextest.iter().filter(|_| args.temporal))
                .env("OPENEVENT_TEST_TEMPORAL", &program)
                .env("OPENEVENT_TEST_TEMPORAL_ADDRESS", server.address());
            with_services(&mut command)
        }
        None => Ok(()),
    };
    if args.temporal {
        return on_cluster;
    }
    // Doc tests before the suites: nextest's summary is then the last thing a person (or CI) reads.
    let doc_tests = if args.nextest.is_empty() && !children::interrupted() {
        with_services(cmd::cargo().args(["test", "--doc"]))
    } else {
        Ok(())
    };
    if children::interrupted() {
        bail!("interrupted");
    }
    let suites = with_services(cmd::cargo().args(nextest_command(&args.nextest)));
    suites.and(doc_tests).and(on_cluster)
}

/// What is built with Temporal and tested on it.
const ON_TEMPORAL: [&str; 8] = [
    "--package",
    "openevent",
    "--package",
    "openevent-engine-temporal",
    "--features",
    "openevent/temporal",
    "--filterset",
    "package(openevent-engine-temporal) or (package(openevent) and binary(cluster))",
];

/// `cargo nextest run` for the default members, or for the packages that were named.
fn nextest_command(given: &[String]) -> Vec<&str> {
    let mut command = vec!["nextest", "run"];
    command.extend(given.iter().map(String::as_str));
    command
}
