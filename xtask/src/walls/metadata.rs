//! The dependency graph as `cargo metadata` tells it, cut down to what the walls look at.
//!
//! Invariant: only direct dependencies of workspace members, as declared for any target.
//! Deliberately not here: the resolved tree; `flow_tree` asks cargo for the one tree that matters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::cmd;

/// Workspace members by name, each with what its manifest asks for.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) rooms: BTreeMap<String, Vec<Dependency>>,
}

/// One declared dependency.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Absent for a normal dependency.
    #[serde(default)]
    pub(crate) kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Dev,
    Build,
    /// What cargo may name this one day; `null` is its way today.
    Normal,
}

impl Dependency {
    /// Whether the dependency is in the built product (and not only in tests).
    pub(crate) fn ships(&self) -> bool {
        self.kind != Some(Kind::Dev)
    }
}

#[derive(Deserialize)]
struct Document {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

fn document() -> Result<Document> {
    let text = cmd::output(cmd::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    serde_json::from_str(&text).context("cargo metadata printed something unexpected")
}

/// Reads the graph of this workspace.
pub(crate) fn read() -> Result<Graph> {
    let packages = document()?.packages;
    Ok(Graph { rooms: packages.into_iter().map(|package| (package.name, package.dependencies)).collect() })
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    Ok(document()?.target_directory)
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Dependency, Graph, Kind};

    /// A graph from `(room, dependency, kind)` lines.
    pub(crate) fn graph(lines: &[(&str, &str, Option<Kind>)]) -> Graph {
        let mut graph = Graph::default();
        for (room, name, kind) in lines {
            let list = graph.rooms.entry((*room).to_owned()).or_default();
            if !name.is_empty() {
                list.push(Dependency { name: (*name).to_owned(), kind: *kind });
            }
        }
        graph
    }
}
