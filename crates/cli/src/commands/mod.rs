//! The commands other than `serve`, one file each.
//!
//! Invariant: each prints through `Output` alone and answers with an exit code.
//! Not here: the command line (`args.rs`).

mod audit;
mod backup;
pub(crate) mod completions;
mod demo;
mod doctor;
mod health;
mod keys;
mod listen;
mod members;
mod migrate;
mod projects;
mod run_tree;
mod runs;
mod secrets;
mod signals;
mod sources;
mod stdin;
mod tables;
mod users;
mod validate;
mod webhooks;
mod workflows;

use crate::args::Command;
use crate::config::{Config, Environment};
use crate::output::Output;
use std::process::ExitCode;

/// Runs a command that is not `serve`.
pub(crate) async fn run(
    command: Command,
    config: Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<ExitCode> {
    for name in &config.unknown_variables {
        output.warn(&format!("{name} is set, but there is no such setting"));
    }
    match command {
        Command::Secrets(secrets) => secrets::run(secrets, config, output).await?,
        Command::Users(users) => users::run(users, config, output).await?,
        Command::Projects(projects) => projects::run(projects, config, output).await?,
        Command::Members(members) => members::run(members, config, output).await?,
        Command::Keys(keys) => keys::run(keys, config, output).await?,
        Command::Demo(demo) => demo::run(demo, config, output).await?,
        Command::Migrate(_) => migrate::run(config, output).await?,
        Command::Doctor(_) => return doctor::run(config, output).await,
        Command::Backup(backup) => backup::run(&backup.file, &config, output).await?,
        Command::Signals(signals) => signals::run(signals, &config, environment, output).await?,
        Command::Listen(listen) => listen::run(listen, &config, environment, output).await?,
        Command::Sources(sources) => sources::run(sources, &config, environment, output).await?,
        Command::Webhooks(webhooks) => webhooks::run(webhooks, &config, environment, output).await?,
        Command::Workflows(workflows) => {
            return workflows::run(workflows, &config, environment, output).await;
        }
        Command::Audit(audit) => audit::run(audit, &config, environment, output).await?,
        Command::Import(import) => return tables::import(import, &config, environment, output).await,
        Command::Export(export) => tables::export(export, &config, environment).await?,
        Command::Runs(runs) => runs::run(runs, &config, environment, output).await?,
        // Handled before a configuration is needed, or with a runtime of its own.
        Command::Serve(_) | Command::Worker(_) | Command::Completions { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}
