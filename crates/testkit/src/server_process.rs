//! The `openevent` binary as a child process, for tests from the outside.
//!
//! Invariant: signals go to the child's pid and to nothing else; a dropped handle kills its child.
//! Not here: building the binary; the caller says where it is (`env!("CARGO_BIN_EXE_openevent")`).

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::PATIENCE;

const READY: &str = "listening on ";
/// What a worker says, which listens nowhere.
const WORKING: &str = "working for Temporal";

/// Variables a child inherits; all others would make tests depend on who runs them.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LANG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// What to start. The same command can be started again, on the same data, after a crash.
#[derive(Debug, Clone)]
pub struct ServerCommand {
    binary: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl ServerCommand {
    /// `binary serve --listen 127.0.0.1:0`, with almost no environment.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0"].map(OsString::from).to_vec();
        Self { binary: binary.into(), args, env: Vec::new() }
    }

    /// `binary worker`.
    pub fn worker(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), args: vec!["worker".into()], env: Vec::new() }
    }

    /// `binary` without arguments yet, for the other commands of the command line; see [`Self::output`].
    pub fn bare(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), args: Vec::new(), env: Vec::new() }
    }

    /// The same with an argument more.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// The same with an environment variable set.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it and waits for its `listening on http://…` line; panics with its standard error otherwise.
    pub async fn start(&self) -> ServerProcess {
        let mut child = self.spawn();
        let output = Output::default();
        let mut readers = JoinSet::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        readers.spawn(read_lines(stdout, output.clone(), Source::Stdout));
        readers.spawn(read_lines(stderr, output.clone(), Source::Stderr));
        let base_url = match output.ready(&mut child).await {
            Ok(url) => url,
            Err(why) => {
                // A child that ended has closed its pipes: read them out, its last words are the reason.
                let _ = timeout(PATIENCE, async { while readers.join_next().await.is_some() {} }).await;
                panic!("the server {why}; it wrote:\n{}", output.text(Source::Stderr))
            }
        };
        ServerProcess { child, base_url, output, _readers: readers }
    }

    /// Runs it to its end and returns what it wrote; panics after [`PATIENCE`].
    pub async fn output(&self) -> std::process::Output {
        let ended = timeout(PATIENCE, self.spawn().wait_with_output()).await;
        ended.expect("the command ends in time").expect("the command's output can be read")
    }

    fn spawn(&self) -> Child {
        let mut command = Command::new(&self.binary);
        command.args(&self.args).env_clear().kill_on_drop(true);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()))
    }
}

/// A running server.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    base_url: String,
    output: Output,
    _readers: JoinSet<()>,
}

impl ServerProcess {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// The process id, while it has not been waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.output.text(Source::Stderr)
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.output.text(Source::Stdout)
    }

    /// SIGKILL, then waits until it is gone.
    pub async fn kill(mut self) {
        // It may have ended by itself; gone is what was asked for.
        let _ = self.child.kill().await;
    }

    /// SIGTERM. Follow with [`ServerProcess::wait`].
    pub fn terminate(&self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // As above: it may be gone.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for its end; panics with its standard error after [`PATIENCE`].
    pub async fn wait(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("the server did not end; it wrote:\n{}", self.stderr()));
        status.expect("the child can be waited for")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Stdout,
    Stderr,
}

/// What a child has written, and whether it is ready.
#[derive(Debug, Clone, Default)]
struct Output {
    lines: Arc<Mutex<Vec<(Source, String)>>>,
    url: Arc<watch::Sender<Option<String>>>,
}

impl Output {
    fn text(&self, wanted: Source) -> String {
        let lines = self.lines.lock();
        let lines = lines.iter().filter(|(source, _)| *source == wanted).map(|(_, line)| line.as_str());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The URL it says it listens on, or what happened instead. A child that is late is killed.
    async fn ready(&self, child: &mut Child) -> Result<String, String> {
        let mut url = self.url.subscribe();
        let ready = async {
            let url = url.wait_for(Option::is_some).await.expect("this output holds the sender");
            url.clone().unwrap_or_default()
        };
        let outcome = tokio::select! {
            biased;
            url = timeout(PATIENCE, ready) => url,
            status = child.wait() => return Err(format!("ended early ({status:?})")),
        };
        if outcome.is_err() {
            // Gone already would be fine too.
            let _ = child.kill().await;
        }
        outcome.map_err(|_| "was not ready in time".to_owned())
    }
}

async fn read_lines(from: impl AsyncRead + Unpin, output: Output, source: Source) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if source == Source::Stdout
            && let Some(url) = line.strip_prefix(READY).or_else(|| line.strip_prefix(WORKING))
        {
            output.url.send_replace(Some(url.trim().trim_end_matches('/').to_owned()));
        }
        output.lines.lock().push((source, line));
    }
}
