//! `sources outbox-sql`: what the owner of another database runs there.
//!
//! Invariant: prints, and touches no database.
//! Not here: reading sources (`openevent_sources`).

use crate::args::Sources;
use crate::failure::usage;
use crate::output::Output;
use openevent_sources::Table;
use serde_json::json;

/// Prints.
pub(crate) fn run(sources: &Sources, output: Output) -> anyhow::Result<()> {
    let Sources::OutboxSql { table } = sources;
    let parsed = Table::parse(table);
    let parsed = parsed.map_err(|bad| usage(bad.to_string(), "such as --table app.openevent_outbox"))?;
    let sql = parsed.make();
    output.answer(&json!({"table": table, "sql": sql}), || sql.clone())
}
