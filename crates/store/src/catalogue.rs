//! Every statement of the store, so that each can be prepared on the database at hand.
//!
//! Invariant: a text that only one of the two databases reads is found by one call, not by a user.
//! Not here: running them.

use crate::sql::{Bulk, Dialect, Select, Sql};
use crate::{Error, Location, Reads, Store};
use crate::{
    audit, event_types, gate, gathered, idempotency, keys, lease, maintenance, planning, rates, runs,
    schedules, secrets, signals, snapshots, workflows,
};

fn statements() -> impl Iterator<Item = &'static Sql> {
    let all = [
        audit::STATEMENTS,
        event_types::STATEMENTS,
        gate::STATEMENTS,
        gathered::STATEMENTS,
        idempotency::STATEMENTS,
        keys::STATEMENTS,
        lease::STATEMENTS,
        maintenance::STATEMENTS,
        planning::directory::STATEMENTS,
        planning::events::STATEMENTS,
        planning::parts::STATEMENTS,
        rates::STATEMENTS,
        runs::STATEMENTS,
        schedules::STATEMENTS,
        secrets::STATEMENTS,
        snapshots::STATEMENTS,
        workflows::STATEMENTS,
    ];
    all.into_iter().flatten().copied()
}

fn bulks() -> impl Iterator<Item = &'static Bulk> {
    let all = [
        audit::BULKS,
        gathered::BULKS,
        idempotency::BULKS,
        keys::BULKS,
        planning::directory::BULKS,
        planning::events::BULKS,
        planning::parts::BULKS,
        rates::BULKS,
        runs::BULKS,
        signals::BULKS,
    ];
    all.into_iter().flatten().copied()
}

fn selects(dialect: Dialect) -> impl Iterator<Item = Select> {
    let all = [
        audit::selects(),
        event_types::selects(),
        gate::selects(),
        gathered::selects(),
        idempotency::selects(),
        keys::selects(),
        lease::selects(),
        maintenance::selects(),
        planning::directory::selects(dialect),
        planning::events::selects(dialect),
        planning::parts::selects(),
        rates::selects(),
        runs::selects(),
        schedules::selects(),
        secrets::selects(),
        signals::selects(),
        snapshots::selects(),
        workflows::selects(),
    ];
    all.into_iter().flatten()
}

fn texts(dialect: Dialect) -> Vec<String> {
    let fixed = statements().map(|sql| sql.text(dialect).to_owned());
    let bulk = bulks().map(|bulk| bulk.text(dialect).to_owned());
    fixed.chain(bulk).chain(selects(dialect).map(|select| select.text)).collect()
}

impl Store {
    /// Prepares every statement; answers those the database refuses, each with its words.
    pub async fn refused_statements(&self) -> Result<Vec<String>, Error> {
        let texts = texts(self.dialect());
        match (&self.reads, self.location()) {
            (Reads::Server(readers), _) => readers.refused(texts).await,
            (Reads::Threads(_), Location::File(path)) => {
                let connection = crate::sqlite::connect(path)?;
                let refused = texts.iter().filter_map(|text| {
                    connection.prepare(text).err().map(|cause| format!("{text}: {cause}"))
                });
                Ok(refused.collect())
            }
            (Reads::Threads(_), Location::Server(_)) => Err(Error::corrupt("a server has no reader threads")),
        }
    }
}
