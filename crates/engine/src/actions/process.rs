//! `run: script` and `run: shell`: processes, where the operator switched them on.
//!
//! Invariant: a process and all it started ends with its deadline, with its run's interest in it, or with this server;
//! it begins in an empty folder of its own and sees no variable of the server's but where programs are.
//! Not here: what its end means to the task (the interpreter).

use super::veil::Veil;
use super::{Order, Outside};
use openevent_egress::Client;
use openevent_flow::{Code, Fault, FaultKind, Issue, Language, ProcessCall, Program, Wait};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// Bytes of each of its outputs that are kept.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Where programs are looked for when the server does not know.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What the operator switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// `run: shell`.
    pub shell: bool,
    /// `run: script`.
    pub script: bool,
    /// The server's own `PATH`.
    pub path: Option<String>,
}

impl Processes {
    /// Whether what an issue of [`Definition::processes`](openevent_flow::Definition::processes) is about is on.
    pub fn offers(&self, process: &Issue) -> bool {
        if process.path.ends_with("/shell") { self.shell } else { self.script }
    }
}

/// A process that is to be run.
struct Prepared {
    command: Command,
    stdin: Option<String>,
    deadline: Duration,
    /// Removed with everything in it when the process has ended.
    _folder: tempfile::TempDir,
}

impl Outside {
    /// Runs a process.
    pub(super) async fn process(
        &self,
        client: &Client,
        order: &Order,
        call: ProcessCall,
        veil: &mut Veil,
    ) -> Result<Value, Fault> {
        self.refuse_unless_on(&call.program)?;
        let mut call = veil.reveal_all(call)?;
        if let Program::Script { code, .. } = &mut call.program
            && let Code::From(resource) = code
        {
            *code = Code::Inline(self.text(client, &order.tenant, resource, veil).await?);
        }
        let wait = call.wait;
        let prepared = self.prepare(call).map_err(|cause| runtime("cannot be prepared", &cause))?;
        let (name, running) = prepared.start()?;
        match wait {
            Wait::Yes => running.finish().await,
            Wait::No => {
                let stop = self.owner.stop.clone();
                self.owner.tasks.spawn(async move {
                    if let Some(Err(fault)) = stop.run_until_cancelled(running.finish()).await {
                        tracing::warn!(program = name, "{}", fault.detail.unwrap_or_default());
                    }
                });
                Ok(json!({"code": 0, "stdout": "", "stderr": ""}))
            }
        }
    }

    fn refuse_unless_on(&self, program: &Program) -> Result<(), Fault> {
        let on = &self.settings.processes;
        let (is_on, what, key) = match program {
            Program::Shell(_) => (on.shell, "shell commands", "shell"),
            Program::Script { .. } => (on.script, "scripts", "script"),
        };
        if is_on {
            return Ok(());
        }
        let detail =
            format!("this server does not run {what}: its operator can switch them on ([run] {key})");
        Err(Fault::new(FaultKind::Configuration, detail))
    }

    fn prepare(&self, call: ProcessCall) -> io::Result<Prepared> {
        let folder = tempfile::Builder::new().prefix("openevent-").tempdir()?;
        let mut command = match call.program {
            Program::Shell(text) => {
                let mut command = Command::new("/bin/sh");
                // The name of the command, then its arguments as `$1`, `$2`, …
                command.arg("-c").arg(text).arg("sh");
                command
            }
            Program::Script { language, code } => {
                let text = match code {
                    Code::Inline(text) => text,
                    Code::From(_) => String::new(),
                };
                let (program, file) = match language {
                    Language::JavaScript => ("node", "script.js"),
                    Language::Python => ("python3", "script.py"),
                };
                // Beside the working folder, which is empty when the script begins.
                let script = folder.path().join(file);
                std::fs::write(&script, text)?;
                let mut command = Command::new(program);
                command.arg(script);
                command
            }
        };
        let work: PathBuf = folder.path().join("work");
        std::fs::create_dir(&work)?;
        command
            .args(call.arguments)
            .env_clear()
            .env("PATH", self.settings.processes.path.as_deref().unwrap_or(PATH))
            .env("LANG", "C.UTF-8")
            .env("HOME", &work)
            .env("TMPDIR", &work)
            .envs(call.environment)
            .current_dir(&work)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(Prepared { command, stdin: call.stdin, deadline: self.settings.process_deadline, _folder: folder })
    }
}

impl Prepared {
    fn start(mut self) -> Result<(String, Running), Fault> {
        let name = self.command.as_std().get_program().to_string_lossy().into_owned();
        let child = self.command.spawn().map_err(|cause| {
            if cause.kind() == io::ErrorKind::NotFound {
                let detail = format!("`{name}` is not installed on this server");
                return Fault::new(FaultKind::Configuration, detail);
            }
            runtime("cannot be started", &cause)
        })?;
        let group = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        Ok((name, Running { child, group: Group(group), prepared: self }))
    }
}

/// A process and those it started. Dropping it ends them.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn end(&mut self) {
        if let Some(group) = self.0.take() {
            // Nobody left in it is what we want.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

struct Running {
    child: Child,
    group: Group,
    prepared: Prepared,
}

impl Running {
    /// Waits for its end, at most until its deadline.
    async fn finish(mut self) -> Result<Value, Fault> {
        let deadline = self.prepared.deadline;
        let ended = tokio::time::timeout(deadline, self.talk()).await;
        let (code, stdout, stderr) = ended
            .map_err(|_| {
                let detail = format!("the process was ended after {} s", deadline.as_secs());
                Fault::new(FaultKind::Timeout, detail)
            })?
            .map_err(|cause| runtime("broke off", &cause))?;
        Ok(json!({"code": code, "stdout": stdout, "stderr": stderr}))
    }

    async fn talk(&mut self) -> io::Result<(i32, String, String)> {
        let (stdin, stdout, stderr) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let text = self.prepared.stdin.take();
        let tell = async move {
            if let (Some(mut stdin), Some(text)) = (stdin, text) {
                // A program need not read what it is told.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let Self { child, group, .. } = self;
        let end = async move {
            let status = child.wait().await;
            // Whoever it left behind would keep its outputs open.
            group.end();
            status
        };
        let (status, (), stdout, stderr) = tokio::join!(end, tell, read(stdout), read(stderr));
        let status = status?;
        Ok((code(status), stdout?, stderr?))
    }
}

/// The exit code; one that a signal ended has 128 and its number, as shells say it.
fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// The beginning of an output. The rest is read as well, so that its writer does not wait for ever.
async fn read(output: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(mut output) = output else { return Ok(String::new()) };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let count = output.read(&mut buffer).await?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
}

fn runtime(what: &str, cause: &io::Error) -> Fault {
    Fault::new(FaultKind::Runtime, format!("the process {what}: {}", cause.kind()))
}
