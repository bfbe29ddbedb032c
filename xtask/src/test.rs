//! `cargo xtask test`: from a bare Debian machine with Rust to all tests run, in one command.
//!
//! Invariant: the exit code is 0 only if every test passed, and the throw-away services are gone either
//! way. Deliberately not here: tests; the suites live with the crates they test.

use std::process::Command;

use anyhow::{Result, bail};

use crate::postgres::{self, Cluster};
use crate::{browser, children, cmd, receivers, redis, tools};

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
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let bin_dir = postgres::ensure_installed()?;
    let browser = browser::ensure_installed()?;
    redis::ensure_installed()?;
    let receivers = receivers::ensure_installed()?;
    tools::NEXTEST.ensure()?;
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
    // Doc tests first: nextest's summary is then the last thing a person (or CI) reads.
    let doc_tests = if args.nextest.is_empty() {
        with_services(cmd::cargo().args(["test", "--doc", "--workspace"]))
    } else {
        Ok(())
    };
    if children::interrupted() {
        bail!("interrupted");
    }
    let suites = with_services(cmd::cargo().args(nextest_command(&args.nextest)));
    drop(cluster);
    suites.and(doc_tests)
}

/// `cargo nextest run` for everything, or for the packages that were named.
fn nextest_command(given: &[String]) -> Vec<&str> {
    let names_packages = given.iter().any(|argument| {
        argument == "--package" || argument.starts_with("--package=") || is_short_package(argument)
    });
    let mut command = vec!["nextest", "run"];
    if !names_packages {
        command.push("--workspace");
    }
    command.extend(given.iter().map(String::as_str));
    command
}

/// `-p` or `-pNAME`.
fn is_short_package(argument: &str) -> bool {
    argument.starts_with("-p")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packages_unless_some_are_named() {
        let command = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|one| (*one).to_owned()).collect();
            nextest_command(&given).join(" ")
        };
        assert_eq!(command(&[]), "nextest run --workspace");
        assert_eq!(command(&["--no-capture", "name"]), "nextest run --workspace --no-capture name");
        assert_eq!(command(&["-p", "x"]), "nextest run -p x");
        assert_eq!(command(&["--package=x"]), "nextest run --package=x");
    }
}
