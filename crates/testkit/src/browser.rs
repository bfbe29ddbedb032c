//! A real browser without a window: opens a page and tells what it made of it.
//!
//! Invariant: a profile of its own, no network but what the page asks for; the process ends with the visit.
//! Deliberately not here: clicking. Pages are to work as links and forms.

use crate::PATIENCE;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// Names the browser to use.
const PROGRAM: &str = "OPENEVENT_TEST_BROWSER";
/// What it is called where it is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/// How much longer than other things a browser may take to start on a busy machine.
const STARTS: u32 = 3;

/// What a browser made of a page.
#[derive(Debug)]
pub struct Visit {
    /// The document after loading.
    pub dom: String,
    /// What it complained about on its console: errors, refused scripts and styles, files not found.
    pub complaints: Vec<String>,
}

/// Opens a page in a window of this size.
///
/// # Panics
/// If there is no browser, or if it does not end in time.
pub async fn visit(url: &str, width: u32, height: u32) -> Visit {
    let profile = tempfile::tempdir().expect("a folder for the browser's profile");
    let mut command = Command::new(program());
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-default-apps"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = timeout(PATIENCE * STARTS, command.output()).await;
    let output = ended.expect("the browser ends in time").expect("the browser starts");
    let said = String::from_utf8_lossy(&output.stderr);
    // `[…:INFO:CONSOLE:7] "words", source: …`: only pages write there.
    let complaints = said.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    Visit { dom: String::from_utf8_lossy(&output.stdout).into_owned(), complaints }
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(PROGRAM) {
        return named.into();
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&paths).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let found = all.into_iter().find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("no browser; `cargo xtask test` installs one, or name yours with {PROGRAM}")
    })
}
