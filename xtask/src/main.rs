//! Project tasks: `cargo xtask <command>`. Everything a person or CI needs beyond plain cargo lives here.
//!
//! Invariant: a task ends only processes that it started, by their id, and leaves nothing running.
//! Deliberately not here: anything the server itself needs; `openevent` never depends on this crate.
#![expect(clippy::print_stdout, reason = "a command line tool talks on standard output")]
#![expect(clippy::print_stderr, reason = "a command line tool reports trouble on standard error")]
#![expect(clippy::disallowed_methods, reason = "tasks read the environment and poll child processes")]

mod bench;
mod browser;
mod children;
mod cmd;
mod debian;
mod lint;
mod postgres;
mod python;
mod receivers;
mod redis;
mod temporal;
mod test;
mod tools;
mod walls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the Open Event project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// One task per file.
#[derive(Subcommand)]
enum Task {
    /// Set up what the tests need (PostgreSQL, cargo-nextest) and run all of them.
    Test(test::Args),
    /// Formatting, clippy, the walls between crates, and the dependency checks.
    Lint(lint::Args),
    /// Check the dependency walls and the textual house rules; part of `lint`.
    Walls,
    /// Measure the release binary on this machine and print one table.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    children::forward_signals();
    let done = match Cli::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Lint(args) => lint::run(&args),
        Task::Walls => walls::run(),
        Task::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
