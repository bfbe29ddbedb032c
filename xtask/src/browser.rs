//! The browser the tests open pages with: found or installed.
//!
//! Invariant: one that is there is used, whatever it is called.
//! Deliberately not here: starting it; the tests do.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{cmd, debian};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// The browser's program; installs the Debian package when there is none.
pub(crate) fn ensure_installed() -> Result<PathBuf> {
    if let Some(program) = find() {
        return Ok(program);
    }
    println!("a browser is missing; installing the Debian package `chromium`");
    debian::install("chromium")?;
    find().context("chromium was installed, but was not found")
}

fn find() -> Option<PathBuf> {
    NAMES.into_iter().find_map(cmd::find)
}
