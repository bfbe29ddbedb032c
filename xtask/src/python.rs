//! Programs and libraries from PyPI, each in a virtual environment of its own.
//!
//! Invariant: nothing is installed outside the folder that is named.
//! Deliberately not here: what is installed, and whether it is there already.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{cmd, debian};

/// Makes an environment with a package in it, in the place of whatever the folder held.
pub(crate) fn install(home: &Path, package: &str) -> Result<()> {
    let make = || cmd::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home));
    if make().is_err() {
        println!("Python's venv is missing; installing the Debian package `python3-venv`");
        debian::install("python3-venv")?;
        make()?;
    }
    cmd::run(Command::new(home.join("bin/pip")).args(["install", "--quiet", package]))
}
