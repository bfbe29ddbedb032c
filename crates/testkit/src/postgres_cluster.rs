//! A PostgreSQL cluster of a test's own, to be killed and started again on its data.
//!
//! Invariant: signals go to the process started here and to nothing else; the data is gone with the handle.
//! Not here: the cluster all other tests share (`cargo xtask test` starts that one).

use crate::PATIENCE;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// Where the programs are; `cargo xtask test` says so.
const BIN: &str = "OPENEVENT_TEST_POSTGRES_BIN";
/// The account that runs it when we are root, as PostgreSQL refuses to.
const ACCOUNT: &str = "postgres";

/// A cluster on 127.0.0.1.
#[derive(Debug)]
pub struct PostgresCluster {
    bin: PathBuf,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

impl PostgresCluster {
    /// Makes an empty cluster and starts it.
    pub async fn start() -> Self {
        let bin = std::env::var_os(BIN);
        let bin = PathBuf::from(
            bin.unwrap_or_else(|| panic!("{BIN} is not set: run the tests with `cargo xtask test`")),
        );
        let folder =
            tempfile::Builder::new().prefix("openevent-crash-").tempdir().expect("a temporary folder");
        if geteuid().is_root() {
            let (user, group) = account();
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))
                .expect("the folder's owner can be set");
        }
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        drop(listener);
        let mut cluster = Self { bin, folder, port, server: None };
        let mut init = cluster.command("initdb");
        init.args([
            "--auth=trust",
            "--username",
            ACCOUNT,
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--pgdata",
        ]);
        let made = init.arg(cluster.folder.path().join("data")).stdout(Stdio::null()).status().await;
        assert!(made.is_ok_and(|status| status.success()), "initdb works");
        cluster.start_again().await;
        cluster
    }

    /// The URL of its one database.
    pub fn url(&self) -> String {
        format!("postgres://{ACCOUNT}@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends the server at once, as a power cut would.
    pub async fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        let pid = server.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("the server has an id");
        kill_process(pid, Signal::KILL).expect("the server can be killed");
        let _ = server.wait().await;
    }

    /// Starts the server on the data it left, and waits until it takes connections.
    pub async fn start_again(&mut self) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let mut server = self.spawn();
            if self.became_ready(&mut server).await {
                self.server = Some(server);
                return;
            }
            // Children of the killed server still hold its memory: the next try finds them gone.
            let _ = server.wait().await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL does not start again; its log says:\n{log}");
    }

    fn spawn(&self) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("a log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.folder.path().join("data"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-k"]).arg(self.folder.path());
        command.args(["-c", "fsync=on"]).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        command.spawn().expect("PostgreSQL can be started")
    }

    async fn became_ready(&self, server: &mut Child) -> bool {
        loop {
            if !matches!(server.try_wait(), Ok(None)) {
                return false;
            }
            // The port opens before recovery ends; a query is answered only after it.
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                let config: tokio_postgres::Config = self.url().parse().expect("a URL of ours");
                let connected = timeout(PATIENCE, config.connect(tokio_postgres::NoTls)).await;
                if matches!(connected, Ok(Ok(_))) {
                    return true;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// A program of the cluster, as an account that PostgreSQL accepts. `setpriv` becomes the program, so the
    /// child's id is the program's.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=INT");
        if geteuid().is_root() {
            command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"]);
        }
        command.arg(self.bin.join(program)).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

/// User and group id of the account, as `/etc/passwd` has them.
fn account() -> (u32, u32) {
    let accounts = std::fs::read_to_string("/etc/passwd").expect("the accounts can be read");
    let line =
        accounts.lines().find(|line| line.starts_with("postgres:")).expect("there is an account `postgres`");
    let numbers: Vec<u32> = line.split(':').skip(2).take(2).filter_map(|field| field.parse().ok()).collect();
    (numbers[0], numbers[1])
}
