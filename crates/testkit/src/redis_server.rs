//! A Redis server of a test's own, to be killed and started again on its data.
//!
//! Invariant: signals go to the process started here and to nothing else; the data is gone with the handle. What was
//! acknowledged is on disk: the server syncs every write.
//! Not here: a client. Tests speak through `redis-cli`, which comes with the server.

use crate::PATIENCE;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Debian's names for its programs.
const SERVER: &str = "redis-server";
const CLIENT: &str = "redis-cli";
/// Ports that are tried: another may be faster to one that was free.
const TRIES: usize = 5;

/// A server on 127.0.0.1.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    address: SocketAddr,
    password: Option<&'static str>,
    server: Option<Child>,
}

impl RedisServer {
    /// Starts an empty server that lets everybody in.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts an empty server that wants this password.
    pub async fn start_with_password(password: &'static str) -> Self {
        Self::start_with(Some(password)).await
    }

    async fn start_with(password: Option<&'static str>) -> Self {
        let folder = tempfile::Builder::new().prefix("openevent-redis-").tempdir();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut started =
            Self { folder: folder.expect("a temporary folder"), address, password, server: None };
        for _ in 0..TRIES {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            started.address = listener.local_addr().expect("a bound port");
            drop(listener);
            if started.runs().await {
                return started;
            }
        }
        panic!("Redis does not start; its log says:\n{}", started.log())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://…`, without a password.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Runs a command and returns the answer as `redis-cli` prints it; panics when the server refuses it.
    pub async fn ask(&self, words: &[&str]) -> String {
        let mut client = self.client();
        let ended = timeout(PATIENCE, client.arg("-e").args(words).output()).await;
        let ended = ended.expect("redis-cli ends in time").expect("redis-cli can be started");
        let text = String::from_utf8_lossy(&ended.stdout).trim_end().to_owned();
        assert!(ended.status.success(), "{words:?}: {text} {}", String::from_utf8_lossy(&ended.stderr));
        text
    }

    /// Ends the server at once, as a power cut would.
    pub async fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().await.expect("the server can be killed");
    }

    /// Starts the server on the data it left, and waits until it answers.
    pub async fn start_again(&mut self) {
        assert!(self.runs().await, "Redis does not start again; its log says:\n{}", self.log());
    }

    async fn runs(&mut self) -> bool {
        let mut server = self.spawn();
        let asking = async {
            loop {
                if !matches!(server.try_wait(), Ok(None)) {
                    break false;
                }
                let asked = self.client().arg("PING").output().await.expect("redis-cli can be started");
                if asked.stdout.starts_with(b"PONG") {
                    break true;
                }
            }
        };
        let is_up = timeout(PATIENCE, asking).await.unwrap_or(false);
        if is_up {
            self.server = Some(server);
        }
        is_up
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        let mut command = Command::new(SERVER);
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(self.folder.path());
        command.args(self.password.into_iter().flat_map(|password| ["--requirepass", password]));
        command.stdin(Stdio::null()).stdout(log.expect("a log")).stderr(Stdio::null()).kill_on_drop(true);
        let started = command.spawn();
        started.unwrap_or_else(|error| {
            panic!(
                "{SERVER} does not start ({error}): run the tests with `cargo xtask test`, which installs it"
            )
        })
    }

    fn client(&self) -> Command {
        let mut command = Command::new(CLIENT);
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        command.envs(self.password.map(|password| ("REDISCLI_AUTH", password)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
