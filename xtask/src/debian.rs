//! Packages of the system: Debian's, as root or with sudo.
//!
//! Invariant: what cannot be installed is named, with how to install it by hand.
//! Deliberately not here: finding out whether something is installed already.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cmd;

/// Installs a package without what it only recommends.
pub(crate) fn install(package: &str) -> Result<()> {
    apt_get(package, &["update"])?;
    apt_get(package, &["install", "--yes", "--no-install-recommends", package])
}

fn apt_get(package: &str, arguments: &[&str]) -> Result<()> {
    let by_hand = format!("the tests need it; install it by hand: apt-get install {package}");
    if cmd::find("apt-get").is_none() {
        bail!("{by_hand} (this machine has no apt-get, use its own package tool)");
    }
    let mut command = if is_root() {
        Command::new("apt-get")
    } else if cmd::find("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!("{by_hand} (you are not root and there is no sudo)");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    cmd::run(&mut command).context(by_hand)
}

/// Whether this process may do anything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
