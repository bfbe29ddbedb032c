//! `cargo xtask lint`: every check that reads the source without running it.
//!
//! Invariant: all checks run even after one has failed, so one run shows everything there is to mend.
//! Deliberately not here: the rules themselves; see `walls`, `clippy.toml`, `deny.toml`.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::tools::{self, Tool};
use crate::{children, cmd, walls};

/// Arguments of `cargo xtask lint`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build cargo-deny from source if it is missing (more than 3 minutes on 2 cores, once). Without this
    /// flag it runs only where it is installed: `walls` covers who may use which crate by reading
    /// `cargo metadata`, so the walls hold without it. (cargo-machete is always built if missing.)
    #[arg(long)]
    deny: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut failed = Vec::new();
    let mut step = |name: &'static str, check: &dyn Fn() -> Result<()>| {
        if children::interrupted() {
            return;
        }
        let begun = Instant::now();
        let outcome = check();
        let seconds = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("ok      {name} ({seconds:.1} s)"),
            Err(error) => {
                println!("FAILED  {name} ({seconds:.1} s): {error:#}");
                failed.push(name);
            }
        }
    };
    step("format", &|| cmd::run(cmd::cargo().args(["fmt", "--all", "--check"])));
    step("walls", &walls::run);
    step("clippy", &|| cmd::run(cmd::cargo().args(["clippy", "--all-targets", "--", "-D", "warnings"])));
    step("clippy with Temporal", &|| {
        let rooms = ["--package", "openevent", "--package", "openevent-engine-temporal"];
        let mut command = cmd::cargo();
        command.arg("clippy").args(rooms).args(["--features", "openevent/temporal", "--all-targets"]);
        cmd::run(command.args(["--", "-D", "warnings"]))
    });
    step("deny", &|| {
        // A wrapper or licence that is allowed but not in use today is no news.
        let quiet = ["--allow", "unused-wrapper", "--allow", "license-not-encountered"];
        let mut command = cmd::cargo();
        command.args(["deny", "check"]).args(quiet).args(["bans", "licenses", "sources"]);
        with_tool(tools::DENY, args.deny, &mut command)
    });
    step("machete", &|| {
        // With this variable set it thinks that it was started by hand and reads "machete" as a folder.
        with_tool(tools::MACHETE, true, cmd::cargo().arg("machete").env_remove("CARGO_PKG_NAME"))
    });
    if children::interrupted() {
        bail!("interrupted");
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    Ok(())
}

fn with_tool(tool: Tool, install: bool, command: &mut Command) -> Result<()> {
    if install {
        tool.ensure()?;
    }
    if !tool.installed() {
        println!("{} is not installed: skipped (`cargo xtask lint --deny` builds it)", tool.krate);
        return Ok(());
    }
    cmd::run(command)
}
