//! `backup FILE`: a compact copy of the SQLite database while it is in use.
//!
//! Invariant: a file that exists is never touched; the copy is readable by its owner alone, like the original's
//! directory; a copy that failed leaves no file.
//! Not here: PostgreSQL, which has its own tools.

use crate::config::Config;
use crate::failure::{explain, failed};
use crate::node::explain_store;
use crate::output::{Output, Style};
use openevent_store::{Location, backup_sqlite};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const PRIVATE_FILE: u32 = 0o600;
const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME: Duration = Duration::from_millis(100);

/// Copies the database.
pub(crate) async fn run(file: &Path, config: &Config, output: Output) -> anyhow::Result<()> {
    let location = config.location();
    match &location {
        Location::Server(_) => {
            let hint = "use its own tools: pg_dump, or a base backup";
            return Err(failed("the data is in PostgreSQL", hint));
        }
        Location::File(from) if !from.exists() => {
            let what = format!("there is no database at {}", from.display());
            return Err(failed(what, "name the data directory with --data-dir or OPENEVENT_DATA_DIR"));
        }
        Location::File(_) => {}
    }
    claim(file)?;
    let begun = Instant::now();
    let to = file.to_owned();
    let copying = tokio::task::spawn_blocking(move || backup_sqlite(&location, &to));
    let copied = show_progress(copying, file, begun, output).await?;
    if let Err(cause) = copied {
        // Ours, and empty or half written.
        let _ = std::fs::remove_file(file);
        return Err(explain_store(cause, "the backup failed", config));
    }
    let bytes = std::fs::metadata(file)?.len();
    let ms = begun.elapsed().as_millis() as i64;
    let answer = serde_json::json!({"file": file, "bytes": bytes, "durationMs": ms});
    output.answer(&answer, || {
        let done = output.paint(Style::Green, "saved");
        format!("{done} {} ({}, {})", file.display(), size(bytes), crate::output::span(ms))
    })
}

/// Makes the file, empty, unless it exists: one step, so that nobody else's file is ever written over.
fn claim(file: &Path) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(file);
    made.map(drop).map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => failed(format!("{} exists already", file.display()), "name a new file"),
        _ => explain(
            cause,
            format!("cannot write {}", file.display()),
            "name a file in a folder you can write to",
        ),
    })
}

async fn show_progress<T>(
    mut work: tokio::task::JoinHandle<T>,
    file: &Path,
    begun: Instant,
    output: Output,
) -> anyhow::Result<T> {
    let mut beat = tokio::time::interval(FRAME);
    let mut frames = FRAMES.iter().cycle();
    loop {
        tokio::select! {
            done = &mut work => {
                output.progress("");
                return Ok(done?);
            }
            _ = beat.tick() => {
                let frame = frames.next().copied().unwrap_or_default();
                let elapsed = begun.elapsed().as_secs();
                output.progress(&format!("{frame} copying to {} … {elapsed} s", file.display()));
            }
        }
    }
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes * 10;
    let mut shown = "B";
    for unit in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        shown = unit;
    }
    if shown == "B" { format!("{bytes} B") } else { format!("{}.{} {shown}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        let sizes = [0, 1_023, 1_024, 1_536, 5 * 1024 * 1024 * 1024].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
    }
}
