//! The libraries of Standard Webhooks, which the tests have check our signatures: Python's always, JavaScript's where
//! npm is at hand.
//!
//! Invariant: nothing is fetched when it is already there; nothing is installed outside the target folder.
//! Deliberately not here: the tests (`crates/cli/tests`), and Rust's library, which is an ordinary dependency there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{cmd, python, walls};

/// Python's.
const PYTHON: &str = "standardwebhooks==1.1.0";
/// JavaScript's.
const JAVASCRIPT: &str = "standardwebhooks@1.1.1";

/// Where the libraries are.
pub(crate) struct Receivers {
    /// A Python that has its library.
    pub(crate) python: PathBuf,
    /// The folder where Node finds its library; empty without npm.
    pub(crate) node_path: PathBuf,
}

/// Installs what is missing.
pub(crate) fn ensure_installed() -> Result<Receivers> {
    let folder = walls::target_directory()?.join("receivers");
    std::fs::create_dir_all(&folder)?;
    Ok(Receivers { python: python(&folder)?, node_path: javascript(&folder)? })
}

fn python(folder: &Path) -> Result<PathBuf> {
    let home = folder.join("python");
    let python = home.join("bin/python");
    let has_it = || cmd::output(Command::new(&python).args(["-c", "import standardwebhooks"])).is_ok();
    if has_it() {
        return Ok(python);
    }
    python::install(&home, PYTHON)?;
    Ok(python)
}

fn javascript(folder: &Path) -> Result<PathBuf> {
    if cmd::find("npm").is_none() || cmd::find("node").is_none() {
        println!("npm is not here: the library for JavaScript is not tried");
        return Ok(PathBuf::new());
    }
    let modules = folder.join("node_modules");
    if !modules.join("standardwebhooks").exists() {
        let mut install = Command::new("npm");
        install
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .arg(JAVASCRIPT);
        cmd::run(&mut install)?;
    }
    Ok(modules)
}
