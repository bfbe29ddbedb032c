//! Temporal's development server of a test's own, to be taken away and brought back on its data.
//!
//! Invariant: signals go to the process started here and to nothing else; the data is gone with the handle.
//! Not here: the server that most tests share (`cargo xtask test` starts it); a client.

use crate::PATIENCE;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// Names the program.
const PROGRAM: &str = "OPENEVENT_TEST_TEMPORAL";
/// Names the address of the server that tests share.
const ADDRESS: &str = "OPENEVENT_TEST_TEMPORAL_ADDRESS";
/// Between two questions whether it is up.
const PACE: std::time::Duration = std::time::Duration::from_millis(50);

/// Where the cluster is that tests share.
pub fn temporal_address() -> String {
    variable(ADDRESS)
}

/// Asks a cluster through Temporal's own command line, and answers what it says as JSON.
pub async fn ask_temporal(address: &str, words: &[&str]) -> Value {
    let mut command = Command::new(variable(PROGRAM));
    command
        .args(words)
        .args(["--address", address, "--output", "json"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output()).await.expect("it answers in time").expect("it starts");
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{words:?}: {text} {}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
}

#[expect(clippy::disallowed_methods, reason = "the runner names the services in variables")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run the tests with `cargo xtask test`"))
}

/// A cluster of one server on 127.0.0.1.
#[derive(Debug)]
pub struct TemporalServer {
    folder: TempDir,
    address: SocketAddr,
    server: Option<Child>,
}

impl TemporalServer {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        drop(listener);
        let folder = tempfile::Builder::new().prefix("openevent-temporal-").tempdir();
        let mut started = Self { folder: folder.expect("a temporary folder"), address, server: None };
        started.start_again().await;
        started
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends it at once, as a power cut would.
    pub async fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().await.expect("the server can be killed");
    }

    /// Starts it on the data it left, and waits until it takes connections.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(variable(PROGRAM));
        command.args(["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"]);
        command.args(["--port", &self.address.port().to_string(), "--db-filename"]);
        command.arg(self.folder.path().join("temporal.db"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.server = Some(command.spawn().expect("the development server starts"));
        let knocking = async {
            let mut pace = interval(PACE);
            while tokio::net::TcpStream::connect(self.address).await.is_err() {
                pace.tick().await;
            }
        };
        timeout(PATIENCE, knocking).await.expect("the development server takes connections");
    }
}
