//! `completions SHELL`: a script that completes our commands.
//!
//! Invariant: needs no configuration and no data.
//! Not here: installing it; docs/cli.md says how.

use crate::args::Cli;
use crate::output::Output;
use clap::CommandFactory as _;
use std::process::ExitCode;

/// Prints the script.
pub(crate) fn print(shell: clap_complete::Shell, output: Output) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "openevent", &mut script);
    output.raw(&script)?;
    Ok(ExitCode::SUCCESS)
}
