//! What machine the figures are from: without it they mean nothing.
//!
//! Invariant: reads only; what the system does not tell is "unknown".

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::histogram::Histogram;

const FSYNC_ROUNDS: u32 = 200;
const PAGE_BYTES: usize = 4096;

/// The machine, in words.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: f64,
    kernel: String,
    file_system: String,
    fsync_p50_ms: f64,
    fsync_p99_ms: f64,
    rustc: String,
    commit: String,
}

/// Reads the machine; `folder` is on the disk that is measured.
pub(crate) fn read(folder: &Path) -> Result<Machine> {
    let fsync = fsync_latency(folder)?;
    Ok(Machine {
        processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib: memory_gib().unwrap_or(0.0),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .map_or_else(|_| unknown(), |it| it.trim().to_owned()),
        file_system: fs::read_to_string("/proc/self/mounts")
            .ok()
            .and_then(|mounts| file_system(&mounts, &fs::canonicalize(folder).ok()?))
            .unwrap_or_else(unknown),
        fsync_p50_ms: fsync.quantile_ms(0.5),
        fsync_p99_ms: fsync.quantile_ms(0.99),
        rustc: first_line(Command::new("rustc").arg("--version")),
        commit: first_line(Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"])),
    })
}

impl Machine {
    /// What differs from run to run.
    pub(crate) fn short(&self) -> String {
        format!("commit {}, fsync p50 {:.2} ms", self.commit, self.fsync_p50_ms)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "- processor: {}, {} cores", self.processor, self.cores)?;
        writeln!(
            out,
            "- memory: {:.1} GiB; kernel: {}; file system: {}",
            self.memory_gib, self.kernel, self.file_system
        )?;
        let (p50, p99) = (self.fsync_p50_ms, self.fsync_p99_ms);
        writeln!(
            out,
            "- append 4 KiB and fsync: p50 {p50:.2} ms, p99 {p99:.2} ms ({FSYNC_ROUNDS} times, before the load)"
        )?;
        write!(out, "- {}; commit {}", self.rustc, self.commit)?;
        if self.file_system == "tmpfs" {
            write!(out, "\n- **not a disk**: fsync costs nothing here, choose another place with `--dir`")?;
        }
        Ok(())
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_gib() -> Option<f64> {
    let total = field("/proc/meminfo", "MemTotal")?;
    let kib: f64 = total.split_whitespace().next()?.parse().ok()?;
    Some(kib / f64::from(1 << 20))
}

/// The type of the longest mount point above the folder.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    // Of equal ones the last is on top.
    above.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

fn fsync_latency(folder: &Path) -> Result<Histogram> {
    let path = folder.join("fsync-probe");
    let mut file = File::create(&path)?;
    let page = [0x5a; PAGE_BYTES];
    let mut latency = Histogram::new();
    for _ in 0..FSYNC_ROUNDS {
        let begun = Instant::now();
        file.write_all(&page)?;
        file.sync_all()?;
        latency.record(begun.elapsed());
    }
    drop(file);
    fs::remove_file(path)?;
    Ok(latency)
}

fn first_line(command: &mut Command) -> String {
    let done = command.output().ok().filter(|done| done.status.success());
    let text = done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    text.lines().next().map_or_else(unknown, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/data xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")).as_deref(), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/tmp/data/x")).as_deref(), Some("xfs"));
        assert_eq!(file_system(mounts, Path::new("/tmpx")).as_deref(), Some("ext4"));
    }
}
