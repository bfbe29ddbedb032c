//! Redis, which the tests of `openevent-sources` start servers of.
//!
//! Invariant: nothing is installed when it is already there.
//! Deliberately not here: starting it; every test has a server of its own.

use anyhow::Result;

use crate::{cmd, debian};

/// What the tests call.
const PROGRAMS: [&str; 2] = ["redis-server", "redis-cli"];

/// Installs the Debian package when a program is missing.
pub(crate) fn ensure_installed() -> Result<()> {
    if PROGRAMS.iter().all(|program| cmd::find(program).is_some()) {
        return Ok(());
    }
    println!("Redis is missing; installing the Debian package `redis-server`");
    debian::install("redis-server")
}
