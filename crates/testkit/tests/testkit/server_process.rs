//! Child processes, played by shell scripts.

use std::{os::unix::fs::PermissionsExt as _, panic::AssertUnwindSafe, path::PathBuf};

use openevent_testkit::{ServerCommand, temp_sqlite};
use tokio::task::JoinSet;

/// An executable script in `dir`.
fn script(dir: &std::path::Path, lines: &str) -> PathBuf {
    let path = dir.join("server.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("a script is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is made executable");
    path
}

const WAIT: &str = "exec tail -f /dev/null";

#[tokio::test]
async fn a_server_is_ready_when_it_says_where_it_listens_and_ends_on_sigterm() {
    let home = temp_sqlite();
    let lines = "tail -f /dev/null & child=$!\ntrap 'kill $child; exit 0' TERM\necho \"$* $MODE\"";
    let binary = script(home.dir(), &format!("{lines}\necho 'listening on http://127.0.0.1:4321/'\nwait"));
    let command = ServerCommand::new(binary).arg("--data-dir").arg("d").env("MODE", "m");

    let mut server = command.start().await;
    assert_eq!(server.base_url(), "http://127.0.0.1:4321");
    assert_eq!(server.url("/health"), "http://127.0.0.1:4321/health");
    assert!(server.pid().is_some());
    assert_eq!(server.stdout().lines().next(), Some("serve --listen 127.0.0.1:0 --data-dir d m"));
    server.terminate();

    assert_eq!(server.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_killed_server_is_gone_and_can_be_started_again() {
    let home = temp_sqlite();
    let command =
        ServerCommand::new(script(home.dir(), &format!("echo 'listening on http://127.0.0.1:1'\n{WAIT}")));

    let first = command.start().await;
    let pid = first.pid().unwrap();
    first.kill().await;
    let second = command.start().await;

    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    assert_ne!(second.pid(), Some(pid));
}

#[tokio::test]
async fn a_server_that_ends_early_shows_its_last_words() {
    let home = temp_sqlite();
    let command = ServerCommand::new(script(home.dir(), "echo 'the port is taken' >&2\nexit 3"));
    let mut task = JoinSet::new();
    task.spawn(async move {
        AssertUnwindSafe(command.start()).await;
    });

    let panic = task.join_next().await.unwrap().unwrap_err().into_panic();

    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("ended early") && message.contains("the port is taken"), "{message}");
}

#[tokio::test]
async fn a_command_is_run_to_its_end() {
    let home = temp_sqlite();
    let command = ServerCommand::bare(script(home.dir(), "echo \"$1\"; exit 2")).arg("doctor");

    let output = command.output().await;

    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b"doctor\n"[..]));
}
