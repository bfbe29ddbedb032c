//! How the databases run what reads: by an index, and sorted by it.
//!
//! Invariant: no statement goes through a whole table or sorts more than it picked, however large tables grow.
//! Not here: how fast that is (`cargo xtask bench planning`).

use crate::support::on_both;
use openevent_store::{Dialect, Planned};

/// What reads a whole table because all of it is wanted, or sorts what is few by nature: what is read when an engine
/// starts, what one workflow gathered, the entries of one run, what is owed to one webhook.
const WHOLE: &[&str] = &[
    "AS open",
    "FROM event_types WHERE schema IS NOT NULL",
    "FROM gathered_events",
    "FROM leases WHERE name LIKE",
    "FROM rate_counts",
    "FROM runs r JOIN journal j",
    "FROM schedules",
    "FROM schema_migrations",
    "FROM secrets UNION",
    "WITH RECURSIVE owing",
    "FROM workflows",
    "parent_run IN (SELECT id FROM runs WHERE ended_at IS NULL)",
    "WHERE hears_lifecycle = 1",
];

fn is_whole(planned: &Planned) -> bool {
    WHOLE.iter().any(|part| planned.text.contains(part))
}

/// Whether a statement asks for a sort of what it picks: its order is no column's.
fn asks_for_a_sort(text: &str) -> bool {
    text.contains("ORDER BY +") || text.contains("ORDER BY (")
}

/// What is wrong with a plan.
fn trouble(planned: &Planned, dialect: Dialect) -> Option<String> {
    let step = |line: &&str| match dialect {
        Dialect::Sqlite => {
            let by_index = line.contains("VIRTUAL TABLE INDEX")
                || (line.contains(" INDEX ") && planned.text.contains("LIMIT"));
            let scans = line.starts_with("SCAN ") && !by_index;
            let sorts = line.contains("USE TEMP B-TREE") && !asks_for_a_sort(&planned.text);
            scans || sorts
        }
        Dialect::Postgres => {
            let line = line.trim_start_matches([' ', '-', '>']);
            let scans = line.starts_with("Seq Scan") || line.starts_with("Parallel Seq Scan");
            let sorts =
                line.contains("Sort") && !line.starts_with("Sort Key") && !asks_for_a_sort(&planned.text);
            scans || (sorts && !line.starts_with("Presorted"))
        }
    };
    let line = planned.plan.lines().find(step)?;
    Some(format!("{}\n{} in\n{}", planned.text, line.trim(), planned.plan))
}

#[tokio::test]
async fn every_statement_that_reads_has_an_index() {
    on_both(async |bed| {
        let planned = bed.store.planned_statements().await.expect("plans");

        let dialect = bed.store.dialect();
        let troubles: Vec<_> = planned
            .iter()
            .filter(|planned| !is_whole(planned))
            .filter_map(|planned| trouble(planned, dialect))
            .collect();
        assert!(planned.len() > 100, "{}", planned.len());
        assert!(troubles.is_empty(), "{} of {}:\n\n{}", troubles.len(), planned.len(), troubles.join("\n\n"));
    })
    .await;
}

#[test]
fn a_scan_and_a_sort_are_seen() {
    let planned = |text: &str, plan: &str| Planned { text: text.into(), plan: plan.into() };
    for (text, plan, dialect, is_bad) in [
        ("SELECT", "SCAN events", Dialect::Sqlite, true),
        ("SELECT", "SCAN events USING INDEX x", Dialect::Sqlite, true),
        ("LIMIT $1", "SCAN events USING INDEX x", Dialect::Sqlite, false),
        ("SELECT", "SEARCH events USING INDEX x (tenant=?)", Dialect::Sqlite, false),
        ("SELECT", "SCAN s VIRTUAL TABLE INDEX 0:M3", Dialect::Sqlite, false),
        ("ORDER BY a", "SEARCH x\nUSE TEMP B-TREE FOR ORDER BY", Dialect::Sqlite, true),
        ("ORDER BY +a", "SEARCH x\nUSE TEMP B-TREE FOR ORDER BY", Dialect::Sqlite, false),
        ("SELECT", "Limit\n  ->  Seq Scan on events", Dialect::Postgres, true),
        ("SELECT", "Limit\n  ->  Index Scan using x on events", Dialect::Postgres, false),
        ("ORDER BY a", "Limit\n  ->  Sort\n        Sort Key: a", Dialect::Postgres, true),
        ("ORDER BY (a + 0)", "Limit\n  ->  Sort\n        Sort Key: a", Dialect::Postgres, false),
    ] {
        assert_eq!(trouble(&planned(text, plan), dialect).is_some(), is_bad, "{text} {plan}");
    }
}
