//! The server under test: the real release binary as a child process, from an empty temp dir.
//!
//! Invariant: starts with a clean environment plus what a scenario asks for, and ends when dropped, by
//! the id it was started under. Deliberately not here: load.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::scrape::{self, Answer};
use super::wire::Credential;
use crate::{children, cmd};

const START_PATIENCE: Duration = Duration::from_mins(2);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// "Huge": rate limiting is switched on and counted, but never refuses.
const RATE_LIMIT: &str = "2000000000";
/// Of the kernel's process accounting; the same on every Linux we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a scenario needs of its server.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    binary: PathBuf,
    folder: PathBuf,
    env: Vec<(String, String)>,
}

impl Setup {
    /// A server with its data, workflows and log under `folder`, which is made here.
    pub(crate) fn new(binary: &Path, folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(folder.join("data"))?;
        std::fs::create_dir_all(folder.join("workflows"))?;
        Ok(Self { binary: binary.to_path_buf(), folder, env: Vec::new() })
    }

    /// Where its data, workflows and log are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds one definition to the folder the server loads at start.
    pub(crate) fn workflow(self, name: &str, yaml: &str) -> Result<Self> {
        std::fs::write(self.folder.join("workflows").join(format!("{name}.yaml")), yaml)?;
        Ok(self)
    }

    /// Runs a command of the program on the same data, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command();
        command.args(arguments);
        cmd::output(&mut command).map(drop)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().current_dir(&self.folder);
        for name in ["PATH", "HOME", "TZ", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("OPENEVENT_DATA_DIR", self.folder.join("data"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    key: String,
    started_in: Duration,
    setup: Setup,
}

impl Server {
    /// Starts the server and makes an API key for the load.
    pub(crate) fn start(setup: &Setup) -> Result<Self> {
        let mut server = Self::start_without_key(setup)?;
        server.key = server.create_key()?;
        Ok(server)
    }

    /// Starts the server and waits for its `listening on` line.
    pub(crate) fn start_without_key(setup: &Setup) -> Result<Self> {
        let addr = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let log = File::options().create(true).append(true).open(setup.folder.join("log"))?;
        let mut command = setup.command();
        command.args(["serve", "--listen", &addr.to_string()]);
        command.arg("--workflows").arg(setup.folder.join("workflows"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let begun = Instant::now();
        let mut child = command.spawn().context("cannot start the server")?;
        let listening = child.stdout.take().map(announcements);
        let mut server =
            Self { child, addr, key: String::new(), started_in: Duration::ZERO, setup: setup.clone() };
        let Some(Ok(())) = listening.map(|line| line.recv_timeout(START_PATIENCE)) else {
            bail!("the server did not start: {}", server.log_tail());
        };
        server.started_in = begun.elapsed();
        Ok(server)
    }

    fn create_key(&self) -> Result<String> {
        let mut command = self.setup.command();
        command.args([
            "keys",
            "create",
            "--name",
            "bench",
            "--scopes",
            "*",
            "--rate-limit",
            RATE_LIMIT,
            "--json",
        ]);
        let done = command.stderr(Stdio::piped()).output().context("cannot run `openevent keys create`")?;
        let text = String::from_utf8_lossy(&done.stdout);
        if !done.status.success() {
            bail!("`openevent keys create` failed: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        let document: serde_json::Value =
            serde_json::from_str(text.trim()).context("`keys create --json`")?;
        let key = document["key"].as_str().context("`keys create --json` printed no key")?;
        Ok(key.to_owned())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Spawn to `listening on`.
    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    pub(crate) fn key(&self) -> Credential {
        Credential::Key(self.key.clone())
    }

    /// `GET path`, with the key if there is one.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        let credential = if self.key.is_empty() { Credential::DevToken } else { self.key() };
        scrape::get(self.addr, path, &credential)
    }

    /// One metric, summed over its labels; absent when the server does not have it.
    pub(crate) fn metric(&self, name: &str) -> Result<Option<f64>> {
        Ok(scrape::sum(&self.get("/metrics")?.body, name))
    }

    /// Runs that have ended, by the counter or else by the API.
    pub(crate) fn runs_finished(&self) -> Result<u64> {
        match self.metric("openevent_runs_finished_total")? {
            Some(count) => Ok(count as u64),
            None => self.runs_in("completed"),
        }
    }

    /// Runs of one status, by the API.
    pub(crate) fn runs_in(&self, status: &str) -> Result<u64> {
        let answer = self.get(&format!("/api/v1/runs?status={status}&limit=1"))?;
        let document: serde_json::Value = serde_json::from_str(&answer.body)
            .with_context(|| format!("GET /api/v1/runs answered {}", answer.status))?;
        document["meta"]["total"].as_u64().with_context(|| format!("no meta.total in {}", answer.body))
    }

    /// Waits until at least `count` runs have ended.
    pub(crate) fn wait_for_runs(&self, count: u64, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let finished = self.runs_finished()?;
            if finished >= count {
                return Ok(());
            }
            if Instant::now() >= deadline || children::interrupted() {
                bail!("only {finished} of {count} runs ended within {} s", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Processor time used so far, in seconds; 0 where the kernel does not tell.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name may hold anything, so count fields from the bracket that closes it.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
    }

    /// Ends the server politely and checks that it did.
    pub(crate) fn stop(mut self) -> Result<()> {
        if !children::stop(&mut self.child, Signal::TERM, STOP_PATIENCE) {
            bail!("the server did not end within {} s of TERM", STOP_PATIENCE.as_secs());
        }
        Ok(())
    }

    fn log_tail(&mut self) -> String {
        children::stop(&mut self.child, Signal::TERM, Duration::from_secs(2));
        let mut text = String::new();
        let log = File::open(self.setup.folder.join("log")).and_then(|mut log| log.read_to_string(&mut text));
        if log.is_err() || text.trim().is_empty() {
            return "it said nothing".to_owned();
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        children::stop(&mut self.child, Signal::TERM, STOP_PATIENCE);
    }
}

/// Says once that the server listens, and keeps reading so that the pipe never fills.
fn announcements(stdout: ChildStdout) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.contains("listening on http") {
                let _not_waiting = sender.send(());
            }
        }
    });
    receiver
}
