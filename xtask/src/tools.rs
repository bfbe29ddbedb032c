//! Cargo's add-on tools: found, or installed from source on first use.
//!
//! Invariant: nothing is installed when it is already there. Deliberately not here: versions; the tools'
//! own lock files decide them (`--locked`).

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::cmd;

/// A cargo subcommand shipped as a crate of the same name, such as `cargo-nextest`.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) krate: &'static str,
}

pub(crate) const NEXTEST: Tool = Tool { krate: "cargo-nextest" };
pub(crate) const DENY: Tool = Tool { krate: "cargo-deny" };
pub(crate) const MACHETE: Tool = Tool { krate: "cargo-machete" };

impl Tool {
    /// Whether the tool can be called, from the search path or from cargo's own folder.
    pub(crate) fn installed(self) -> bool {
        cmd::find(self.krate).is_some() || cargo_bin().is_some_and(|folder| folder.join(self.krate).is_file())
    }

    /// Installs the tool unless it is there; takes minutes the first time.
    pub(crate) fn ensure(self) -> Result<()> {
        if self.installed() {
            return Ok(());
        }
        println!("{} is missing; building it once (this takes some minutes)", self.krate);
        let begun = Instant::now();
        cmd::run(cmd::cargo().args(["install", self.krate, "--locked"]))
            .with_context(|| format!("install it by hand: cargo install {} --locked", self.krate))?;
        println!("{} built in {:.0} s", self.krate, begun.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Where `cargo install` puts programs; cargo itself looks there too.
fn cargo_bin() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".cargo")))?;
    Some(home.join("bin"))
}
