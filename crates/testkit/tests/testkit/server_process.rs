//! Child processes, played by a shell script.

use std::path::Path;

use openevent_testkit::ServerCommand;
use tokio::task::JoinSet;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testkit/server.sh");

#[tokio::test]
async fn a_server_is_ready_when_it_says_where_it_listens_and_ends_on_sigterm() {
    let command = ServerCommand::new(SCRIPT).arg("--data-dir").arg("d").env("MODE", "polite");

    let mut server = command.start().await;
    assert_eq!(server.base_url(), "http://127.0.0.1:4321");
    assert_eq!(server.url("/health"), "http://127.0.0.1:4321/health");
    assert!(server.pid().is_some());
    assert_eq!(server.stdout().lines().next(), Some("serve --listen 127.0.0.1:0 --data-dir d"));
    server.terminate();

    assert_eq!(server.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_killed_server_is_gone_and_can_be_started_again() {
    let command = ServerCommand::new(SCRIPT).env("MODE", "stubborn");

    let first = command.start().await;
    let pid = first.pid().unwrap();
    first.kill().await;
    let second = command.start().await;

    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_ne!(second.pid(), Some(pid));
}

#[tokio::test]
async fn a_server_that_ends_early_shows_its_last_words() {
    let command = ServerCommand::new(SCRIPT).env("MODE", "failing");
    let mut task = JoinSet::new();
    task.spawn(async move {
        command.start().await;
    });

    let panic = task.join_next().await.unwrap().unwrap_err().into_panic();

    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("ended early") && message.contains("the port is taken"), "{message}");
}

#[tokio::test]
async fn a_command_is_run_to_its_end() {
    let output = ServerCommand::bare(SCRIPT).arg("doctor").output().await;

    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b"doctor\n"[..]));
}
