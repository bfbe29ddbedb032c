//! The edge table: which room of the house may lean on which.
//!
//! Invariant: a room that is not in the table is refused, so nobody adds one without placing it.
//! Deliberately not here: crates of other people; see `wrappers`.

use super::metadata::{Dependency, Graph};

/// `(room, rooms it may lean on in the product)`. The house, bottom to top.
const TABLE: &[(&str, &[&str])] = &[
    ("openevent-domain", &[]),
    ("openevent-flow", &["openevent-domain"]),
    ("openevent-store", &["openevent-domain"]),
    ("openevent-egress", &["openevent-domain"]),
    ("openevent-delivery", &["openevent-domain", "openevent-store", "openevent-egress"]),
    ("openevent-engine", &["openevent-domain", "openevent-flow", "openevent-store", "openevent-egress"]),
    ("openevent-sources", &["openevent-domain"]),
    (
        "openevent-engine-temporal",
        &["openevent-domain", "openevent-flow", "openevent-store", "openevent-egress", "openevent-engine"],
    ),
    (
        "openevent-server",
        &[
            "openevent-domain",
            "openevent-flow",
            "openevent-store",
            "openevent-egress",
            "openevent-delivery",
            "openevent-engine",
            "openevent-engine-temporal",
        ],
    ),
    (
        "openevent",
        &[
            "openevent-domain",
            "openevent-flow",
            "openevent-store",
            "openevent-egress",
            "openevent-delivery",
            "openevent-engine",
            "openevent-engine-temporal",
            "openevent-server",
            "openevent-sources",
        ],
    ),
    (TESTKIT, &[]),
    ("xtask", &[]),
];

/// May be leant on by tests only.
const TESTKIT: &str = "openevent-testkit";

/// Every broken edge, one line each.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for (room, dependencies) in &graph.rooms {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == room) else {
            broken.push(format!("{room} has no place in the edge table (xtask/src/walls/edges.rs)"));
            continue;
        };
        for dependency in dependencies.iter().filter(|one| one.ships() && is_room(graph, one)) {
            let name = &dependency.name;
            if name == TESTKIT {
                broken.push(format!("{room} leans on {TESTKIT} outside tests: make it a dev-dependency"));
            } else if !allowed.contains(&name.as_str()) {
                broken.push(format!(
                    "{room} may not lean on {name}; it may lean on: {}",
                    if allowed.is_empty() { "no other room".to_owned() } else { allowed.join(", ") }
                ));
            }
        }
    }
    broken
}

fn is_room(graph: &Graph, dependency: &Dependency) -> bool {
    graph.rooms.contains_key(&dependency.name) || TABLE.iter().any(|(name, _)| *name == dependency.name)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Kind;
    use super::super::metadata::samples::graph;
    use super::*;

    #[test]
    fn edges_of_the_table_hold() {
        let graph = graph(&[
            ("openevent-domain", "serde", None),
            ("openevent-store", "openevent-domain", None),
            ("openevent", "openevent-server", None),
            ("openevent-server", "openevent-testkit", Some(Kind::Dev)),
            ("openevent-testkit", "tokio", None),
        ]);
        assert_eq!(check(&graph), Vec::<String>::new());
    }

    #[test]
    fn an_edge_upwards_is_refused_also_for_build_scripts() {
        let graph = graph(&[
            ("openevent-domain", "openevent-store", None),
            ("openevent-store", "openevent-engine", Some(Kind::Build)),
        ]);
        let broken = check(&graph);
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(broken[0].starts_with("openevent-domain may not lean on openevent-store"));
    }

    #[test]
    fn the_testkit_never_ships() {
        let broken = check(&graph(&[("openevent-server", "openevent-testkit", None)]));
        assert_eq!(broken.len(), 1);
        assert!(broken[0].contains("dev-dependency"));
    }

    #[test]
    fn a_room_without_a_place_is_refused() {
        let broken = check(&graph(&[("openevent-attic", "", None)]));
        assert!(broken[0].contains("no place in the edge table"));
    }
}
