//! `cargo xtask bench`: the real release binary under load, as a child process on loopback, from empty
//! temp dirs; one report of tables and of the targets they are held against.
//!
//! Invariant: a missed target is shown, never an error; only a benchmark that cannot run at all fails.
//! Deliberately not here: timed tests. Speed is measured, not asserted.

mod cluster;
mod delivery;
mod engine;
mod footprint;
mod growth;
mod histogram;
mod ingest;
mod lane;
mod load;
mod machine;
mod planning;
mod receiver;
mod report;
mod scrape;
mod self_test;
mod server;
mod table;
mod wire;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use tempfile::TempDir;

use self::server::Setup;
use self::table::{Goal, Section, Target};
use crate::{children, cmd, walls};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One short round of everything, with small tables: shows that it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only these parts; all of them when none is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// The same, by option (may be repeated).
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Planned events of the large table in `planning`.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Stored signals of the large table in `rows`.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// How often every scenario is measured; the median is reported.
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Seconds per measurement.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Where the databases are made: the disk that is measured. The system's temp dir by default.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the filled databases of `planning` here, and use those that are there.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Put the result into docs/performance.md: the whole generated block, or the tables of the named parts.
    #[arg(long)]
    write: bool,
    /// Only measure the load generator itself, against a built-in receiver.
    #[arg(long)]
    self_test: bool,
    /// The server to measure; set by the task itself after it has built everything for release.
    #[arg(long, hide = true)]
    binary: Option<PathBuf>,
}

/// A group of scenarios that share a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// (a) to (e) at 1, 64 and 256 clients.
    Ingest,
    /// Runs per second.
    Engine,
    /// Deliveries per second, and how receivers that hang slow the others.
    Delivery,
    /// Ingest with 0, 100 and 1 000 loaded workflows.
    Workflows,
    /// Ingest with 10 thousand and 5 million stored signals.
    Rows,
    /// Start-up time and idle memory.
    Idle,
    /// Restart with 100 000 parked runs.
    Restore,
    /// Lists and search with 10 thousand and 1 million planned events.
    Planning,
    /// Runs on Temporal beside the embedded engine. Only when it is named: it takes a build of its own.
    Cluster,
}

/// How long and how much.
struct Pace {
    rounds: u32,
    warm_up: Duration,
    measure: Duration,
    runs: u64,
    rows_few: u64,
    rows_many: u64,
    parked: u64,
    starts: u32,
    planned_few: u64,
    planned_many: u64,
    cluster_runs: u64,
}

/// What every part needs.
struct Bench {
    binary: PathBuf,
    folder: TempDir,
    /// Where filled databases outlive the run.
    keep: Option<PathBuf>,
    pace: Pace,
}

/// What the parts found.
#[derive(Default)]
struct Findings {
    sections: Vec<Section>,
    targets: Vec<Target>,
    remarks: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if cfg!(debug_assertions) {
        return build_and_rerun(args);
    }
    if args.self_test {
        return self_test::run();
    }
    let Some(binary) = &args.binary else { return build_and_rerun(args) };
    let mut folder = tempfile::Builder::new();
    folder.prefix("openevent-bench-");
    let folder = match &args.dir {
        Some(dir) => folder.tempdir_in(dir)?,
        None => folder.tempdir()?,
    };
    let keep = args.keep.as_ref().map(std::path::absolute).transpose()?;
    let bench = Bench { binary: binary.clone(), folder, keep, pace: pace(args) };
    let machine = machine::read(bench.folder.path())?;
    println!("{machine}");
    let parts: Vec<Part> = args.parts.iter().chain(&args.only).copied().collect();
    let findings = bench.run(&parts)?;
    println!("\n{}", report::markdown(&machine, &findings, args.quick));
    if args.write {
        let file = cmd::workspace_root().join("docs/performance.md");
        if parts.is_empty() {
            report::write(&file, &report::markdown(&machine, &findings, args.quick))?;
        } else {
            report::write_parts(&file, &machine, &findings)?;
        }
    }
    Ok(())
}

/// Generator and server are both built for release; then the release build of this task takes over.
fn build_and_rerun(args: &Args) -> Result<()> {
    let mut build = cmd::cargo();
    build.args(["build", "--release", "--package", "xtask"]);
    if !args.self_test {
        build.args(["--package", "openevent"]);
    }
    if args.parts.iter().chain(&args.only).any(|part| *part == Part::Cluster) {
        build.args(["--features", "openevent/temporal"]);
    }
    cmd::run(&mut build)?;
    let release = walls::target_directory()?.join("release");
    let mut again = Command::new(release.join("xtask"));
    again.args(std::env::args_os().skip(1));
    if !args.self_test && args.binary.is_none() {
        again.arg("--binary").arg(release.join("openevent"));
    }
    cmd::run(&mut again)
}

fn pace(args: &Args) -> Pace {
    let mut pace = if args.quick {
        Pace {
            rounds: 1,
            warm_up: Duration::from_millis(200),
            measure: Duration::from_millis(600),
            runs: 8_000,
            rows_few: 10_000,
            rows_many: 200_000,
            parked: 10_000,
            starts: 3,
            planned_few: 10_000,
            planned_many: 50_000,
            cluster_runs: 50,
        }
    } else {
        Pace {
            rounds: 3,
            warm_up: Duration::from_millis(500),
            measure: Duration::from_secs(2),
            runs: 60_000,
            rows_few: 10_000,
            rows_many: 5_000_000,
            parked: 100_000,
            starts: 5,
            planned_few: 10_000,
            planned_many: 1_000_000,
            cluster_runs: 500,
        }
    };
    pace.rows_many = args.rows.unwrap_or(pace.rows_many).max(pace.rows_few);
    pace.planned_many = args.events.unwrap_or(pace.planned_many).max(pace.planned_few);
    pace.rounds = args.rounds.unwrap_or(pace.rounds).max(1);
    if let Some(seconds) = args.seconds {
        pace.measure = Duration::from_secs_f64(seconds.clamp(0.1, 60.0));
    }
    pace
}

impl Bench {
    fn run(&self, only: &[Part]) -> Result<Findings> {
        let mut findings = Findings::default();
        for part in Part::value_variants() {
            let is_wanted = if only.is_empty() { *part != Part::Cluster } else { only.contains(part) };
            if !is_wanted {
                continue;
            }
            println!("{part:?}");
            let done = match part {
                Part::Ingest => ingest::run(self, &mut findings),
                Part::Engine => engine::run(self, &mut findings),
                Part::Delivery => delivery::run(self, &mut findings),
                Part::Workflows => growth::loaded_workflows(self, &mut findings),
                Part::Rows => growth::stored_signals(self, &mut findings),
                Part::Idle => footprint::idle(self, &mut findings),
                Part::Restore => footprint::restore(self, &mut findings),
                Part::Planning => planning::run(self, &mut findings),
                Part::Cluster => cluster::run(self, &mut findings),
            };
            if children::interrupted() {
                bail!("interrupted");
            }
            if let Err(error) = done {
                println!("  {part:?} could not be measured: {error:#}");
                findings.remark(format!("{part:?} could not be measured: {error:#}"));
            }
            self.clean_up();
        }
        if findings.sections.is_empty() {
            bail!("nothing could be measured");
        }
        Ok(findings)
    }

    /// A server with a folder of its own.
    fn setup(&self, name: &str) -> Result<Setup> {
        Setup::new(&self.binary, self.folder.path().join(name))
    }

    /// The folder that all databases of this run share a disk with.
    fn disk(&self) -> &Path {
        self.folder.path().parent().unwrap_or(self.folder.path())
    }

    /// The databases of one part are not kept for the next: 5 million rows take some room.
    fn clean_up(&self) {
        for entry in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            let _kept_until_the_end = std::fs::remove_dir_all(Path::new(&entry.path()));
        }
    }
}

impl Findings {
    fn remark(&mut self, text: String) {
        self.remarks.push(text.replace('\n', " · "));
    }

    fn target(&mut self, name: &'static str, goal: Goal, value: Option<f64>, digits: usize) {
        self.targets.push(Target { name, goal, value, digits });
    }
}
