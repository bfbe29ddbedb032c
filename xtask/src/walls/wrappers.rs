//! Who may use the crates that open a door: a database, a socket, a router.
//!
//! Invariant: the same rules as the `[bans]` of `deny.toml`, readable without cargo-deny; tests count too.
//! Deliberately not here: what third parties use among themselves; cargo-deny sees that.

use super::metadata::Graph;

/// One guarded crate.
struct Door {
    /// A name, or a prefix when it ends in `*`.
    krate: &'static str,
    keepers: &'static [&'static str],
    why: &'static str,
}

const DOORS: &[Door] = &[
    Door { krate: "rusqlite", keepers: &["openevent-store"], why: SQL },
    Door { krate: "libsqlite3-sys", keepers: &["openevent-store"], why: SQL },
    Door {
        krate: "tokio-postgres",
        // In sources it is another's database, never our own.
        keepers: &["openevent-store", "openevent-sources", "openevent-testkit"],
        why: SQL,
    },
    Door { krate: "deadpool-postgres", keepers: &["openevent-store"], why: SQL },
    Door { krate: "sqlx*", keepers: &[], why: SQL },
    Door { krate: "redis", keepers: &["openevent-sources"], why: QUEUES },
    Door { krate: "hyper", keepers: SOCKETS, why: OUT },
    Door { krate: "hyper-util", keepers: SOCKETS, why: OUT },
    Door { krate: "hyper-rustls", keepers: &["openevent-egress"], why: OUT },
    Door { krate: "reqwest", keepers: &["openevent-egress"], why: OUT },
    Door { krate: "ureq", keepers: &[], why: OUT },
    Door { krate: "tonic", keepers: &["openevent-engine-temporal"], why: CLUSTER },
    Door { krate: "temporalio-*", keepers: &["openevent-engine-temporal"], why: CLUSTER },
    Door { krate: "axum", keepers: &["openevent-server"], why: IN },
    Door { krate: "axum-*", keepers: &["openevent-server"], why: IN },
    Door { krate: "utoipa-axum", keepers: &["openevent-server"], why: IN },
];

/// Out through egress, in through the server.
const SOCKETS: &[&str] = &["openevent-egress", "openevent-server", "openevent-testkit"];
const SQL: &str = "SQL is spoken in the store only";
const QUEUES: &str = "other people's servers are read in sources only";
const OUT: &str = "outbound HTTP goes through egress only";
const CLUSTER: &str = "Temporal and its gRPC stay in one room, which the default build leaves out";
const IN: &str = "routes live in the server only";

/// Every direct use of a guarded crate by a room that does not keep it.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for (room, dependencies) in &graph.rooms {
        for dependency in dependencies {
            let doors = DOORS.iter().filter(|door| matches(door.krate, &dependency.name));
            for door in doors.filter(|door| !door.keepers.contains(&room.as_str())) {
                broken.push(format!("{room} may not use {}: {}", dependency.name, door.why));
            }
        }
    }
    broken
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Kind;
    use super::super::metadata::samples::graph;
    use super::*;

    #[test]
    fn keepers_use_their_doors() {
        let graph = graph(&[
            ("openevent-store", "rusqlite", None),
            ("openevent-store", "deadpool-postgres", None),
            ("openevent-testkit", "tokio-postgres", None),
            ("openevent-egress", "hyper-util", None),
            ("openevent-server", "axum", None),
        ]);
        assert_eq!(check(&graph), Vec::<String>::new());
    }

    #[test]
    fn others_do_not_even_in_tests() {
        let graph = graph(&[
            ("openevent-engine", "rusqlite", Some(Kind::Dev)),
            ("openevent-server", "reqwest", None),
            ("openevent", "axum-extra", None),
        ]);
        assert_eq!(check(&graph).len(), 3);
    }

    #[test]
    fn a_name_that_only_begins_alike_is_free() {
        assert!(!matches("hyper", "hyperloglog"));
        assert!(matches("axum-*", "axum-core"));
    }
}
