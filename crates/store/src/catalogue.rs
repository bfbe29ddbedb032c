//! Every statement of the store, so that each can be prepared on the database at hand.
//!
//! Invariant: a text that only one of the two databases reads is found by one call, not by a user.
//! Not here: running them.

use crate::sql::{Bulk, Dialect, Select, Sql};
use crate::{Error, Location, Reads, Store};
use crate::{
    audit, deliveries, event_types, gate, gathered, handover, idempotency, keys, lease, maintenance, members,
    planning, rates, run_requests, runs, schedules, secrets, sessions, signals, snapshots, sources, users,
    webhooks, workflows,
};

fn statements() -> impl Iterator<Item = &'static Sql> {
    let all = [
        audit::STATEMENTS,
        event_types::STATEMENTS,
        gate::STATEMENTS,
        gathered::STATEMENTS,
        handover::STATEMENTS,
        idempotency::STATEMENTS,
        keys::STATEMENTS,
        lease::STATEMENTS,
        maintenance::STATEMENTS,
        members::STATEMENTS,
        planning::applications::STATEMENTS,
        planning::directory::STATEMENTS,
        planning::events::STATEMENTS,
        planning::parts::STATEMENTS,
        rates::STATEMENTS,
        run_requests::STATEMENTS,
        runs::STATEMENTS,
        schedules::STATEMENTS,
        secrets::STATEMENTS,
        sessions::STATEMENTS,
        snapshots::STATEMENTS,
        sources::STATEMENTS,
        users::STATEMENTS,
        webhooks::STATEMENTS,
        workflows::STATEMENTS,
    ];
    all.into_iter().flatten().copied().chain(deliveries::statements())
}

fn bulks() -> impl Iterator<Item = &'static Bulk> {
    let all = [
        audit::BULKS,
        gathered::BULKS,
        handover::BULKS,
        idempotency::BULKS,
        keys::BULKS,
        planning::applications::BULKS,
        planning::directory::BULKS,
        planning::events::BULKS,
        planning::parts::BULKS,
        rates::BULKS,
        runs::BULKS,
        sessions::BULKS,
        signals::BULKS,
    ];
    all.into_iter().flatten().copied().chain(deliveries::bulks())
}

fn selects(dialect: Dialect) -> impl Iterator<Item = Select> {
    let all = [
        audit::selects(),
        deliveries::selects(),
        event_types::selects(),
        gate::selects(),
        gathered::selects(),
        handover::selects(),
        idempotency::selects(),
        keys::selects(),
        lease::selects(),
        maintenance::selects(),
        members::selects(),
        planning::applications::selects(),
        planning::directory::selects(dialect),
        planning::event_lists::selects(dialect),
        planning::events::selects(),
        planning::lookup::selects(dialect),
        planning::parts::selects(dialect),
        rates::selects(dialect),
        run_requests::selects(),
        runs::selects(),
        schedules::selects(),
        secrets::selects(),
        sessions::selects(),
        signals::selects(),
        snapshots::selects(),
        sources::selects(),
        users::selects(),
        webhooks::selects(),
        workflows::selects(),
    ];
    all.into_iter().flatten()
}

fn texts(dialect: Dialect) -> Vec<String> {
    let fixed = statements().map(|sql| sql.text(dialect).to_owned());
    let bulk = bulks().map(|bulk| bulk.text(dialect).to_owned());
    fixed.chain(bulk).chain(selects(dialect).map(|select| select.text)).collect()
}

/// How a database means to run a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The statement.
    pub text: String,
    /// The database's words, a line for each step.
    pub plan: String,
}

impl Store {
    /// Asks the database how it would run each statement that reads. PostgreSQL answers as for large tables.
    pub async fn planned_statements(&self) -> Result<Vec<Planned>, Error> {
        let selects: Vec<Select> = selects(self.dialect()).collect();
        match (&self.reads, self.location()) {
            (Reads::Server(readers), _) => readers.planned(selects).await,
            (Reads::Threads(_), Location::File(path)) => {
                let connection = crate::sqlite::connect(path)?;
                let plan = |Select { text, .. }: Select| crate::sqlite::planned(&connection, text);
                selects.into_iter().map(plan).collect()
            }
            (Reads::Threads(_), Location::Server(_)) => Err(Error::corrupt("a server has no reader threads")),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of a text's placeholders, each where it is first.
    fn placeholders(text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        for rest in text.split('$').skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if let Ok(number) = digits.parse()
                && !found.contains(&number)
            {
                found.push(number);
            }
        }
        found
    }

    #[test]
    fn placeholders_are_numbered_by_their_first_appearance() {
        // SQLite takes a name's number from where it stands first, so a slip binds values to other places.
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for text in texts(dialect) {
                let found = placeholders(&text);
                assert_eq!(found, (1..=found.len()).collect::<Vec<_>>(), "{text}");
            }
        }
    }

    #[test]
    fn a_statement_has_an_argument_for_each_placeholder() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for select in selects(dialect) {
                assert_eq!(placeholders(&select.text).len(), select.args.len(), "{}", select.text);
            }
        }
    }

    #[test]
    fn a_slip_in_the_numbering_is_seen() {
        assert_eq!(placeholders("a = $2 AND b = $1 AND c = $2"), [2, 1]);
    }
}
