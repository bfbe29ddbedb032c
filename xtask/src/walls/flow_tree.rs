//! `flow` is pure: nothing below it may open a socket, run tasks, or tell the time.
//!
//! Invariant: the whole normal dependency tree of `openevent-flow`, resolved for it alone, is clean.
//! Deliberately not here: its tests; they may use what they like.

use anyhow::Result;

use crate::cmd;

/// Crates that have no business under a pure interpreter.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "polling",
    "async-io",
    "async-std",
    "smol",
    "hyper",
    "reqwest",
    "ureq",
    "rustls",
    "rand",
    "fastrand",
    "oorandom",
];

/// Crates that come with a clock behind a feature: `(crate, features that switch it on)`.
const CLOCKS: &[(&str, &[&str])] =
    &[("chrono", &["clock", "now"]), ("uuid", &["v1", "v4", "v6", "v7", "rng"]), ("time", &["local-offset"])];

/// Crates that flow may reach through others (hash seeds, jq's date functions) but not name itself. `chrono` it may:
/// without the features above it is a calendar, not a clock.
const NOT_DIRECT: &[&str] = &["getrandom", "jiff", "time", "uuid"];

/// One crate of the tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    depth: usize,
    name: String,
    features: Vec<String>,
}

/// Asks cargo for the tree.
pub(crate) fn read() -> Result<Vec<Branch>> {
    let arguments = ["tree", "--package", "openevent-flow", "--edges", "normal", "--prefix", "depth"];
    let text = cmd::output(cmd::cargo().args(arguments).args(["--format", "\t{p}\t{f}"]))?;
    Ok(text.lines().filter_map(parse).collect())
}

/// Parses `2<tab>name v1.2.3 (…)<tab>feature,feature (*)`.
fn parse(line: &str) -> Option<Branch> {
    let mut parts = line.split('\t');
    let depth = parts.next()?.parse().ok()?;
    let name = parts.next()?.split(' ').next()?.to_owned();
    let features = parts.next().unwrap_or_default().split([',', ' ']);
    let features = features.filter(|one| !one.is_empty() && *one != "(*)").map(str::to_owned).collect();
    Some(Branch { depth, name, features })
}

/// Every crate of the tree that is not pure.
pub(crate) fn check(tree: &[Branch]) -> Vec<String> {
    let mut broken = Vec::new();
    for branch in tree {
        let name = branch.name.as_str();
        if FORBIDDEN.contains(&name) {
            broken.push(format!("openevent-flow must stay pure, but {name} is in its tree"));
        }
        if branch.depth == 1 && NOT_DIRECT.contains(&name) {
            broken.push(format!("openevent-flow may not use {name}: time and chance are parameters"));
        }
        let clock = CLOCKS.iter().find(|(krate, _)| *krate == name).map_or(&[][..], |(_, on)| *on);
        if let Some(feature) = branch.features.iter().find(|one| clock.contains(&one.as_str())) {
            broken.push(format!("openevent-flow must stay pure, but {name} has its `{feature}` switched on"));
        }
    }
    broken.sort();
    broken.dedup();
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(lines: &[&str]) -> Vec<Branch> {
        lines.iter().filter_map(|line| parse(line)).collect()
    }

    #[test]
    fn a_line_of_the_tree_is_read() {
        let branch = parse("2\tahash v0.8.12 (proc-macro)\tdefault,std (*)").expect("a branch");
        assert_eq!((branch.depth, branch.name.as_str()), (2, "ahash"));
        assert_eq!(branch.features, ["default", "std"]);
    }

    #[test]
    fn hash_seeds_below_others_are_fine() {
        let tree = tree(&["0\topenevent-flow v0\t", "1\tjsonschema v0\t", "2\tgetrandom v0.3.4\tstd"]);
        assert_eq!(check(&tree), Vec::<String>::new());
    }

    #[test]
    fn a_runtime_anywhere_below_is_refused() {
        let tree = tree(&["0\topenevent-flow v0\t", "1\tx v0\t", "2\ttokio v1\trt", "3\tmio v1\t"]);
        assert_eq!(check(&tree).len(), 2);
    }

    #[test]
    fn a_clock_is_refused_by_feature_and_by_name() {
        let tree = tree(&["1\tjiff v0.2\tstd", "2\tchrono v0.4\talloc,clock", "2\tchrono v0.4\talloc"]);
        let broken = check(&tree);
        assert_eq!(broken.len(), 2, "{broken:?}");
    }
}
