//! The `openevent` binary: reads the command line, the environment and the file, and runs one command.
//!
//! Invariant: the environment is read here and nowhere else; every failure leaves as one line and an exit code.
//! Not here: the commands (`commands/`), the server (`serve.rs` and the crates below).

mod ambient;
mod args;
mod cluster;
mod commands;
mod config;
mod failure;
mod housekeeping;
mod logging;
mod node;
mod output;
mod parts;
mod remote;
mod serve;
mod sources;

use crate::args::{Cli, Command};
use crate::config::{Config, Environment};
use crate::failure::{Exit, Report, one_line};
use crate::output::{Format, Output};
use clap::Parser as _;
use std::io;
use std::process::ExitCode;

/// Memory made by one thread is freed by another with every signal, which the C library's allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return refuse(&refused, &environment),
    };
    let format = if cli.json { Format::Json } else { Format::Text };
    let output = Output::new(format, &environment);
    match run(cli, &environment, output) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let report = Report::of(&error);
            output.failure(&report);
            report.exit.into()
        }
    }
}

fn run(cli: Cli, environment: &Environment, output: Output) -> anyhow::Result<ExitCode> {
    if let Command::Completions { shell } = cli.command {
        return commands::completions::print(shell, output);
    }
    let config = Config::load(cli.config.as_deref(), environment, cli.command.flags())?;
    if let Command::Serve(serve) = &cli.command {
        logging::start(&config, output, logging::SERVER)?;
        return runtime(Workers::PerCore)?.block_on(serve::serve(config, !serve.no_worker, output));
    }
    if let Command::Worker(_) = &cli.command {
        logging::start(&config, output, logging::SERVER)?;
        return runtime(Workers::PerCore)?.block_on(serve::work(config.of_a_worker(), output));
    }
    logging::start(&config, output, logging::COMMAND)?;
    runtime(Workers::One)?.block_on(commands::run(cli.command, config, environment, output))
}

/// How many threads run tasks.
enum Workers {
    One,
    PerCore,
}

fn runtime(workers: Workers) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        Workers::One => tokio::runtime::Builder::new_current_thread(),
        Workers::PerCore => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// Whoever read our output has enough: `openevent runs list | head`.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Help and version go out as they are; a mistake becomes one line.
fn refuse(refused: &clap::Error, environment: &Environment) -> ExitCode {
    if !refused.use_stderr()
        || refused.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let _ = refused.print();
        return if refused.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
    }
    let json = std::env::args_os().any(|arg| arg == "--json");
    let output = Output::new(if json { Format::Json } else { Format::Text }, environment);
    output.failure(&mistake(&refused.render().to_string()));
    Exit::Usage.into()
}

/// clap's own words: a paragraph of what is wrong, perhaps a tip, and the usage.
fn mistake(rendered: &str) -> Report {
    let first = rendered.split("\n\n").next().unwrap_or_default();
    let what = one_line(first.strip_prefix("error: ").unwrap_or(first));
    let tip = rendered.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let usage = rendered.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    let words = usage.into_iter().flat_map(str::split_whitespace);
    let command = words.take_while(|word| word.starts_with(char::is_lowercase)).collect::<Vec<_>>().join(" ");
    let help = if command.is_empty() {
        "see `openevent --help`".to_owned()
    } else {
        format!("see `{command} --help`")
    };
    Report { what, hint: Some(tip.map_or(help, one_line)), exit: Exit::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake_of(words: &[&str]) -> (String, Option<String>) {
        let refused = Cli::try_parse_from(words).unwrap_err();
        let report = mistake(&refused.render().to_string());
        (report.what, report.hint)
    }

    #[test]
    fn mistakes_on_the_command_line_are_one_line_with_a_hint() {
        let (what, hint) = mistake_of(&["openevent", "keys", "create", "--scopes", "*"]);
        assert_eq!(what, "the following required arguments were not provided: --name <NAME>");
        assert_eq!(hint.as_deref(), Some("see `openevent keys create --help`"));
        let (what, hint) = mistake_of(&["openevent", "serv"]);
        assert_eq!(what, "unrecognized subcommand 'serv'");
        assert!(hint.is_some_and(|hint| hint.contains("'serve'")));
    }

    #[test]
    fn a_reader_who_left_is_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing");
        assert!(is_closed_pipe(&error) && !is_closed_pipe(&anyhow::anyhow!("else")));
    }
}
