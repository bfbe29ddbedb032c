//! `cargo xtask walls`: which room may lean on which, read from cargo itself and from the source text.
//!
//! Invariant: a rule that is broken is printed with the place and the way out, and fails the build.
//! Deliberately not here: style that clippy or rustfmt can see.

mod edges;
mod flow_tree;
mod literals;
mod metadata;
mod text;
mod wrappers;

use anyhow::{Result, bail};

use crate::cmd;

pub(crate) use metadata::target_directory;

pub(crate) fn run() -> Result<()> {
    let graph = metadata::read()?;
    let mut broken = edges::check(&graph);
    broken.extend(wrappers::check(&graph));
    broken.extend(flow_tree::check(&flow_tree::read()?));
    let report = text::check(&cmd::workspace_root())?;
    broken.extend(report.broken);
    for line in &report.long {
        println!("note: {line}");
    }
    for line in &broken {
        println!("wall: {line}");
    }
    if broken.is_empty() {
        println!("walls hold: {} rooms, {} files", graph.rooms.len(), report.files);
        return Ok(());
    }
    bail!("{} broken wall(s)", broken.len())
}
