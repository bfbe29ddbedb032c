//! What the doctor looks at outside the database: the data directory and the disk under it.
//!
//! Invariant: every check answers with a finding, whatever the machine says; a check never fails the doctor.
//! Not here: the database's own state (`doctor.rs`).

use super::backup::size;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but should be looked at.
    Warning,
    /// Has to be put right.
    Bad,
}

/// One check and what it found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    /// How it went.
    pub(crate) verdict: Verdict,
    /// In words.
    pub(crate) found: String,
}

impl Finding {
    /// A finding.
    pub(crate) fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into() }
    }
}

const MIB: u64 = 1024 * 1024;
/// Less is bad: a backup or a checkpoint may not fit.
const FREE_BYTES_BAD: u64 = 64 * MIB;
/// Less deserves a warning.
const FREE_BYTES_LOW: u64 = 1024 * MIB;
/// Syncs timed; the middle one counts.
const SYNCS: usize = 15;
/// A slower disk makes every acknowledgement slow.
const SYNC_SLOW: Duration = Duration::from_millis(20);

/// Looks at the data directory, which exists.
pub(crate) fn data_dir(dir: &Path) -> Vec<Finding> {
    vec![permissions(dir), space(dir), sync_latency(dir)]
}

fn permissions(dir: &Path) -> Finding {
    const CHECK: &str = "data directory";
    let shown = dir.display();
    match std::fs::metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => {
            Finding::new(CHECK, Verdict::Bad, format!("{shown} is no directory"))
        }
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let mode = metadata.permissions().mode() & 0o777;
            let found = format!("{shown} is open to other users (mode {mode:o}); chmod 700 {shown}");
            Finding::new(CHECK, Verdict::Warning, found)
        }
        Ok(_) => Finding::new(CHECK, Verdict::Ok, format!("{shown}, for its owner alone")),
        Err(cause) => Finding::new(CHECK, Verdict::Bad, format!("{shown}: {cause}")),
    }
}

fn space(dir: &Path) -> Finding {
    const CHECK: &str = "disk space";
    match rustix::fs::statvfs(dir) {
        Ok(disk) => {
            let free = disk.f_bavail * disk.f_frsize;
            Finding::new(CHECK, space_verdict(free), format!("{} free", size(free)))
        }
        Err(cause) => Finding::new(CHECK, Verdict::Warning, format!("the disk does not say: {cause}")),
    }
}

fn space_verdict(free: u64) -> Verdict {
    match free {
        0..FREE_BYTES_BAD => Verdict::Bad,
        FREE_BYTES_BAD..FREE_BYTES_LOW => Verdict::Warning,
        _ => Verdict::Ok,
    }
}

fn sync_latency(dir: &Path) -> Finding {
    const CHECK: &str = "fsync";
    match time_syncs(dir) {
        Ok(times) => {
            let (middle, worst) = (times[SYNCS / 2], times[SYNCS - 1]);
            let verdict = if middle > SYNC_SLOW { Verdict::Warning } else { Verdict::Ok };
            Finding::new(CHECK, verdict, format!("{} typically, {} at worst", ms(middle), ms(worst)))
        }
        Err(cause) => {
            Finding::new(CHECK, Verdict::Bad, format!("cannot write to the data directory: {cause}"))
        }
    }
}

/// Times of small synced writes, shortest first. The file has no name left when this returns.
fn time_syncs(dir: &Path) -> io::Result<[Duration; SYNCS]> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut times = [Duration::ZERO; SYNCS];
    for time in &mut times {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        *time = begun.elapsed();
    }
    times.sort_unstable();
    Ok(times)
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_bad_and_none_is_worse() {
        assert_eq!(space_verdict(0), Verdict::Bad);
        assert_eq!(space_verdict(FREE_BYTES_BAD), Verdict::Warning);
        assert_eq!(space_verdict(FREE_BYTES_LOW), Verdict::Ok);
    }

    #[test]
    fn a_folder_that_others_can_enter_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(permissions(dir.path()).verdict, Verdict::Warning);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(permissions(dir.path()).verdict, Verdict::Ok);
        assert_eq!(permissions(&dir.path().join("gone")).verdict, Verdict::Bad);
    }

    #[test]
    fn timing_the_disk_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(time_syncs(dir.path()).unwrap().len(), SYNCS);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
