//! Runs the binary and reads what it said.
//!
//! Invariant: the child sees only the variables a test sets, beside where to find programs and temporary files.
//! Not here: servers; `testkit::ServerCommand` starts those.

use openevent_testkit::PATIENCE;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_openevent");

/// A working directory of one's own.
pub(crate) struct Place {
    dir: TempDir,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as JSON, after success.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    /// A path inside it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the place can be written to");
        path
    }

    /// Runs a command line in it.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    /// The same with variables.
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = command(self.dir.path());
        command.args(args).envs(variables.iter().copied()).stdin(Stdio::null());
        Self::ended(command, args)
    }

    /// The same with standard input.
    pub(crate) fn run_reading(&self, args: &[&str], input: &str) -> Ended {
        let file = std::fs::File::open(self.write("input", input)).expect("it was just written");
        let mut command = command(self.dir.path());
        command.args(args).stdin(Stdio::from(file));
        Self::ended(command, args)
    }

    fn ended(mut command: Command, args: &[&str]) -> Ended {
        command.kill_on_drop(true);
        let output = end(command).unwrap_or_else(|| panic!("`openevent {}` did not end", args.join(" ")));
        let text = |bytes| String::from_utf8(bytes).expect("the binary prints UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs a command to its end; `None` when it has to be killed after `PATIENCE`. On a thread of its own, because
/// the test may be inside a runtime already.
fn end(mut command: Command) -> Option<Output> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = async { timeout(PATIENCE, command.output()).await.ok() };
        runtime.expect("a runtime can be made").block_on(ended)
    };
    let ended = std::thread::spawn(run).join().expect("the command was waited for");
    ended.map(|output| output.expect("the binary starts"))
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(dir).env_clear();
    for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
