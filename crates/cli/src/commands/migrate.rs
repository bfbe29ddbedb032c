//! `migrate`: creates the database, or brings its schema up to date.
//!
//! Invariant: running it again changes nothing.
//! Not here: the migrations (`crates/store`), which `serve` applies as well when it starts.

use crate::config::Config;
use crate::node::{Node, explain_store};
use crate::output::{Output, Style};

/// Migrates and says what the database has now.
pub(crate) async fn run(config: Config, output: Output) -> anyhow::Result<()> {
    let node = Node::open(config).await?;
    let found = node.store.doctor().await;
    let found = found.map_err(|cause| explain_store(cause, "cannot read the schema", &node.config))?;
    node.default_project().await?;
    let answer = serde_json::json!({"database": found.version, "applied": found.applied});
    output.answer(&answer, || {
        let done = output.paint(Style::Green, "up to date");
        format!("{}: {done} ({})", found.version, found.applied.join(", "))
    })?;
    node.close().await;
    Ok(())
}
