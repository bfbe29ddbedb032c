//! The statements we say to another's database.
//!
//! Invariant: names are quoted as they are; nothing of a message is ever part of a statement.
//! Not here: our own database; its SQL is in the store.

use std::fmt;

/// The longest part of a name, as PostgreSQL cuts them.
const PART_BYTES_MAX: usize = 63;

/// A table: its name, perhaps behind its schema's and a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: String,
    quoted: String,
}

/// Why a name is none of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a table's name is letters, digits and underscores, perhaps behind a schema and a dot, 63 in all")]
pub struct BadTable;

impl Table {
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self, BadTable> {
        let is_good = |part: &&str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !part.starts_with(|c: char| c.is_ascii_digit())
        };
        let parts: Vec<&str> = name.split('.').collect();
        // The whole name is the channel's too, so it has to fit into one.
        if parts.len() > 2 || name.len() > PART_BYTES_MAX || !parts.iter().all(is_good) {
            return Err(BadTable);
        }
        let quoted = parts.into_iter().map(quoted).collect::<Vec<_>>().join(".");
        Ok(Self { name: name.to_owned(), quoted })
    }

    /// The name as it was written, which is the channel's as well.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the table is there, with the columns that are read.
    pub(super) fn look(&self) -> String {
        format!("SELECT id, name, payload, created_at FROM {} LIMIT 0", self.quoted)
    }

    /// The oldest rows nobody else has in hand: id, when it was made in microseconds, name, payload.
    pub(super) fn take(&self) -> String {
        format!(
            "SELECT id::bigint, (extract(epoch FROM created_at) * 1000000)::bigint, name::text, payload::text \
             FROM {} ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED",
            self.quoted
        )
    }

    /// Rows are done with.
    pub(super) fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE id = ANY($1::bigint[])", self.quoted)
    }

    /// What makes the table, and a trigger that wakes us. May be run again.
    pub fn make(&self) -> String {
        let (table, channel) = (&self.quoted, &self.name);
        let parts: Vec<&str> = self.name.split('.').collect();
        let wake: Vec<String> = match parts.as_slice() {
            [schema, name] => vec![quoted(schema), quoted(&format!("{name}_wake"))],
            names => names.iter().map(|name| quoted(&format!("{name}_wake"))).collect(),
        };
        let wake = wake.join(".");
        format!(
            "CREATE TABLE IF NOT EXISTS {table} (\n    \
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
             name text NOT NULL,\n    \
             payload jsonb NOT NULL DEFAULT '{{}}',\n    \
             created_at timestamptz NOT NULL DEFAULT clock_timestamp()\n\
             );\n\
             \n\
             CREATE OR REPLACE FUNCTION {wake}() RETURNS trigger AS $$\n\
             BEGIN\n    \
             PERFORM pg_notify('{channel}', '');\n    \
             RETURN NULL;\n\
             END;\n\
             $$ LANGUAGE plpgsql;\n\
             \n\
             DROP TRIGGER IF EXISTS openevent_wake ON {table};\n\
             CREATE TRIGGER openevent_wake AFTER INSERT ON {table}\n    \
             FOR EACH STATEMENT EXECUTE FUNCTION {wake}();"
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Has the server tell us what is notified on a channel.
pub(super) fn listen(channel: &str) -> String {
    format!("LISTEN {}", quoted(channel))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_checked() {
        for good in ["openevent_outbox", "app.Outbox1"] {
            assert_eq!(Table::parse(good).map(|table| table.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", ".", "a.", "a.b.c", "a b", "a\"b", "1a", "a;b", &"a".repeat(64)] {
            assert_eq!(Table::parse(bad), Err(BadTable), "{bad}");
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(listen("a\"b"), "LISTEN \"a\"\"b\"");
        assert!(Table::parse("app.Outbox").unwrap().delete().starts_with("DELETE FROM \"app\".\"Outbox\" "));
    }
}
