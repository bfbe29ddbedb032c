//! Lists and search of planned events and vendors, in small and in large tables, on both databases.
//!
//! Invariant: the same rows and the same questions everywhere; each list is a lane of its own. Only databases that were
//! filled to the end are used again.
//! Deliberately not here: making the rows (`openevent demo`).

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::lane::{self, Lane, Sample};
use super::server::{Server, Setup};
use super::table::{Goal, Section, number};
use super::wire;
use super::{Bench, Findings};
use crate::postgres::{self, Cluster};

const CLIENTS: [usize; 1] = [16];
/// What a list may take on SQLite; PostgreSQL has twice that.
const P99_MS_MAX: f64 = 15.0;
/// Rows of a page, unless asked for otherwise.
const PAGE_ROWS: u64 = 20;
/// The page that is gone to by cursor.
const DEEP_PAGE: u64 = 1_000;
/// Rows of a page while going there.
const STRIDE_ROWS: u64 = 100;
/// One vendor for so many events.
const EVENTS_PER_VENDOR: u64 = 5;
/// Words of the demo season: in most rows, in some of a hundred, in few, and in none; whole ones, beginnings and pairs.
const WORDS: [&str; 12] = [
    "meetup",
    "rust",
    "lunch",
    "wor",
    "data+engineering",
    "quantum",
    "typography+workshop",
    "karin",
    "velma+rust",
    "robot",
    "kalorin",
    "nothinglikethis",
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Events,
    EventsDeep,
    EventsByStatus,
    EventsSearched,
    Vendors,
    VendorsDeep,
    VendorsByCategory,
    VendorsSearched,
}

impl List {
    const ALL: [Self; 8] = [
        Self::Events,
        Self::EventsDeep,
        Self::EventsByStatus,
        Self::EventsSearched,
        Self::Vendors,
        Self::VendorsDeep,
        Self::VendorsByCategory,
        Self::VendorsSearched,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Events => "events, page 1",
            Self::EventsDeep => "events, page 1 000 by cursor",
            Self::EventsByStatus => "events by status",
            Self::EventsSearched => "events, search",
            Self::Vendors => "vendors, page 1",
            Self::VendorsDeep => "vendors, page 1 000 by cursor",
            Self::VendorsByCategory => "vendors by category",
            Self::VendorsSearched => "vendors, search",
        }
    }

    /// The paths that are asked for in turn.
    fn paths(self, server: &Server) -> Result<Vec<String>> {
        let each = |path: &str, words: &[&str]| words.iter().map(|word| format!("{path}{word}")).collect();
        Ok(match self {
            Self::Events => vec!["/api/v1/events".to_owned()],
            Self::EventsDeep => vec![deep(server, "/api/v1/events")?],
            Self::EventsByStatus => {
                each("/api/v1/events?status=", &["draft", "planning", "active", "completed", "cancelled"])
            }
            Self::EventsSearched => each("/api/v1/events?search=", &WORDS),
            Self::Vendors => vec!["/api/v1/vendors".to_owned()],
            Self::VendorsDeep => vec![deep(server, "/api/v1/vendors")?],
            Self::VendorsByCategory => categories(server)?,
            Self::VendorsSearched => each("/api/v1/vendors?search=", &WORDS),
        })
    }
}

/// The lists of vendors by category.
fn categories(server: &Server) -> Result<Vec<String>> {
    let answer: serde_json::Value = serde_json::from_str(&server.get("/api/v1/vendors/categories")?.body)?;
    let words = answer["data"].as_array().context("no categories")?.iter().filter_map(|word| word.as_str());
    Ok(words
        .map(|word| format!("/api/v1/vendors?category={}", word.replace('&', "%26").replace(' ', "+")))
        .collect())
}

/// The page 1 000, or one of the last where there are fewer: its path, found by going there.
fn deep(server: &Server, path: &str) -> Result<String> {
    let mut cursor = String::new();
    for _ in 0..(DEEP_PAGE - 1) * PAGE_ROWS / STRIDE_ROWS {
        let answer = server.get(&format!("{path}?limit={STRIDE_ROWS}{cursor}"))?;
        let page: serde_json::Value = serde_json::from_str(&answer.body)?;
        let Some(next) = page["meta"]["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    Ok(format!("{path}?limit={PAGE_ROWS}{cursor}"))
}

/// A database of some size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ground {
    database: &'static str,
    rows: u64,
}

impl Ground {
    fn label(self, list: List) -> String {
        format!("{} {}: {}", self.database, self.rows, list.label())
    }
}

/// Every list at 16 clients, in tables of both sizes on both databases.
pub(crate) fn run(bench: &Bench, findings: &mut Findings) -> Result<()> {
    // Before the servers, so that it outlives them.
    let programs = postgres::ensure_installed()?;
    let cluster = match &bench.keep {
        Some(folder) => Cluster::start_kept(&programs, &folder.join("postgres"))?,
        None => Cluster::start(&programs, bench.disk())?,
    };
    let sizes = [bench.pace.planned_few, bench.pace.planned_many];
    let mut lanes = Vec::new();
    for database in ["SQLite", "PostgreSQL"] {
        for rows in sizes {
            let ground = Ground { database, rows };
            let server = Rc::new(filled(bench, &cluster, ground)?);
            for list in List::ALL {
                let paths = list.paths(&server)?;
                let ask = |path: &String| wire::ask(server.addr(), path, &server.key());
                lanes.push(Lane::new(&ground.label(list), &server, paths.iter().map(ask).collect()));
            }
        }
    }
    lane::race(&mut lanes, &CLIENTS, &bench.pace);
    findings.sections.push(section(&lanes, sizes));
    judge(&lanes, sizes, findings);
    Ok(())
}

/// A server whose tables have been filled, now or by an earlier run.
fn filled(bench: &Bench, cluster: &Cluster, ground: Ground) -> Result<Server> {
    let name = format!("planning-{}-{}", ground.database.to_lowercase(), ground.rows);
    let database = name.replace('-', "_");
    let mut setup = match &bench.keep {
        Some(folder) => Setup::new(&bench.binary, folder.join(&name))?,
        None => bench.setup(&name)?,
    };
    let mark = setup.folder().join("filled");
    if ground.database == "PostgreSQL" {
        if !mark.exists() {
            cluster.drop_database(&database)?;
            cluster.create_database(&database)?;
        }
        setup = setup.env("DATABASE_URL", &cluster.url_of(&database));
    }
    if mark.exists() {
        println!("  {}: {} events are there", ground.database, ground.rows);
        return Server::start(&setup);
    }
    let counts = [ground.rows, ground.rows / EVENTS_PER_VENDOR].map(|count| count.to_string());
    let begun = Instant::now();
    setup.run(&["demo", "--bare", "--sponsors", "0", "--events", &counts[0], "--vendors", &counts[1]])?;
    println!("  {}: {} events in {:.0} s", ground.database, ground.rows, begun.elapsed().as_secs_f64());
    if ground.database == "PostgreSQL" {
        // What its own housekeeping does after a minute.
        cluster.vacuum(&database)?;
    }
    std::fs::write(mark, "")?;
    Server::start(&setup)
}

fn sample(lanes: &[Lane], database: &'static str, rows: u64, list: List) -> Option<Sample> {
    Lane::find(lanes, &Ground { database, rows }.label(list))?.result(CLIENTS[0])
}

fn section(lanes: &[Lane], [few, many]: [u64; 2]) -> Section {
    let thousand = |rows: u64| number(rows as f64 / 1_000.0, 0);
    let (few_title, many_title) =
        (format!("p99 at {} k", thousand(few)), format!("p99 at {} k", thousand(many)));
    let header =
        ["list, 16 clients", "database", &few_title, "p50", &many_title, "growth of p50", "growth of p99"];
    let mut section = Section::new("Lists of planned events and vendors, ms", &header);
    for list in List::ALL {
        for database in ["SQLite", "PostgreSQL"] {
            let (small, large) = (sample(lanes, database, few, list), sample(lanes, database, many, list));
            let (Some(small), Some(large)) = (small, large) else {
                section.row([list.label(), database, "—", "—", "—", "—", "—"]);
                continue;
            };
            section.row([
                list.label().to_owned(),
                database.to_owned(),
                number(small.p99_ms, 2),
                number(large.p50_ms, 2),
                number(large.p99_ms, 2),
                number(large.p50_ms / small.p50_ms, 2),
                number(large.p99_ms / small.p99_ms, 2),
            ]);
        }
    }
    section.note(format!(
        "p50 is that of the large table; {} vendors for {} events",
        thousand(many / EVENTS_PER_VENDOR) + " k",
        thousand(many) + " k"
    ));
    lane::troubles(lanes).for_each(|trouble| section.note(trouble));
    section
}

fn judge(lanes: &[Lane], [few, many]: [u64; 2], findings: &mut Findings) {
    let worst = |figure: &dyn Fn(List) -> Option<f64>| {
        List::ALL.into_iter().map(figure).try_fold(0.0, |worst: f64, one| Some(worst.max(one?)))
    };
    let slowest = |database| worst(&|list| Some(sample(lanes, database, many, list)?.p99_ms));
    let grown = |database| {
        worst(&|list| {
            Some(sample(lanes, database, many, list)?.p50_ms / sample(lanes, database, few, list)?.p50_ms)
        })
    };
    let (sqlite, postgresql) = (slowest("SQLite"), slowest("PostgreSQL"));
    findings.target("slowest list of planned events, SQLite, p99 ms", Goal::AtMost(P99_MS_MAX), sqlite, 1);
    // Of that, not of what SQLite measures: the goal would move away with every gain there.
    let goal = Goal::AtMost(2.0 * P99_MS_MAX);
    findings.target("slowest list of planned events, PostgreSQL, p99 ms", goal, postgresql, 1);
    findings.target(
        "worst growth of a list's p50 from few to many events, SQLite",
        Goal::AtMost(1.5),
        grown("SQLite"),
        2,
    );
    findings.target(
        "worst growth of a list's p50 from few to many events, PostgreSQL",
        Goal::AtMost(1.5),
        grown("PostgreSQL"),
        2,
    );
}
