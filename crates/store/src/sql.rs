//! Statement texts: written once where both databases agree, twice where they do not.
//!
//! Invariant: placeholders are `$1, $2, …` in order of first appearance, which both drivers read alike.
//! Not here: what statements mean; each feature file holds its own.

use crate::value::Value;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, one file.
    Sqlite,
    /// PostgreSQL, 15 or later.
    Postgres,
}

/// One statement that changes rows. One text serves both databases so far; where they come to differ, a
/// second constructor takes one text each.
#[derive(Debug)]
pub(crate) struct Sql(&'static str);

impl Sql {
    /// The same text for both.
    pub(crate) const fn same(text: &'static str) -> Self {
        Self(text)
    }

    /// The text for a database.
    pub(crate) fn text(&self, _dialect: Dialect) -> &'static str {
        self.0
    }
}

/// A column's type, as PostgreSQL needs it for arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// BIGINT.
    Int,
    /// TEXT.
    Text,
}

/// Rows of a searchable table that SQLite takes in one statement: a power of two.
const TOGETHER: usize = 128;

/// A statement over many rows at once: the rows of all write sets in a group become one statement
/// (`UNNEST` on PostgreSQL, one cached statement stepped per row on SQLite, where a row costs no round trip).
#[derive(Debug)]
pub(crate) struct Bulk {
    /// The table whose rows it changes.
    pub table: &'static str,
    /// Columns in the order of a row's values.
    pub columns: &'static [(&'static str, Kind)],
    action: Action,
    /// Rows of one statement on SQLite.
    together: usize,
    texts: [OnceLock<String>; 2],
}

#[derive(Debug)]
enum Action {
    Insert { suffix: &'static str },
    Update { set: &'static str, key: &'static str, guard: &'static str },
}

impl Bulk {
    /// `INSERT INTO table (columns) …` with what follows the values, such as `ON CONFLICT DO NOTHING`.
    pub(crate) const fn insert(
        table: &'static str,
        columns: &'static [(&'static str, Kind)],
        suffix: &'static str,
    ) -> Self {
        let texts = [OnceLock::new(), OnceLock::new()];
        Self { table, columns, action: Action::Insert { suffix }, together: 1, texts }
    }

    /// The same for a table with a search index. On SQLite each statement that changes such a table after the first
    /// has FTS5 write out what it holds in memory, so that there many rows are one statement.
    pub(crate) const fn insert_searchable(
        table: &'static str,
        columns: &'static [(&'static str, Kind)],
    ) -> Self {
        let texts = [OnceLock::new(), OnceLock::new()];
        Self { table, columns, action: Action::Insert { suffix: "" }, together: TOGETHER, texts }
    }

    /// `UPDATE table SET set WHERE table.key = given.key guard`. In `set` and `guard` the given row is `given`.
    pub(crate) const fn update(
        table: &'static str,
        columns: &'static [(&'static str, Kind)],
        key: &'static str,
        set: &'static str,
        guard: &'static str,
    ) -> Self {
        Self {
            table,
            columns,
            action: Action::Update { set, key, guard },
            together: 1,
            texts: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// Whether it changes rows that are there; the first column is then their key.
    pub(crate) fn is_update(&self) -> bool {
        matches!(self.action, Action::Update { .. })
    }

    /// The text for a database.
    pub(crate) fn text(&self, dialect: Dialect) -> &str {
        self.texts[dialect as usize].get_or_init(|| self.write(dialect))
    }

    /// How many rows SQLite takes in one statement, at most.
    pub(crate) fn together(&self) -> usize {
        self.together
    }

    /// The text for so many rows on SQLite.
    pub(crate) fn text_of_rows(&self, rows: usize) -> Cow<'_, str> {
        let mut text = Cow::Borrowed(self.text(Dialect::Sqlite));
        let width = self.columns.len();
        for row in 1..rows {
            let holders: Vec<_> =
                (1..=width).map(|n| self.holder(row * width + n, Dialect::Sqlite)).collect();
            let _ = write!(text.to_mut(), ", ({})", holders.join(", "));
        }
        text
    }

    fn write(&self, dialect: Dialect) -> String {
        let names = self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let holders =
            (1..=self.columns.len()).map(|n| self.holder(n, dialect)).collect::<Vec<_>>().join(", ");
        let table = self.table;
        match (&self.action, dialect) {
            (Action::Insert { suffix }, Dialect::Sqlite) => {
                format!("INSERT INTO {table} ({names}) VALUES ({holders}) {suffix}")
            }
            (Action::Insert { suffix }, Dialect::Postgres) => {
                format!(
                    "INSERT INTO {table} ({names}) SELECT {names} FROM UNNEST({holders}) AS given({names}) {suffix}"
                )
            }
            (Action::Update { set, key, guard }, Dialect::Sqlite) => {
                // One row at a time needs no joined table, which SQLite would build and drop for each.
                self.numbered(&format!("UPDATE {table} SET {set} WHERE {table}.{key} = given.{key} {guard}"))
            }
            (Action::Update { set, key, guard }, Dialect::Postgres) => {
                format!(
                    "UPDATE {table} SET {set} FROM UNNEST({holders}) AS given({names}) WHERE {table}.{key} = given.{key} {guard}"
                )
            }
        }
    }

    /// The text with each `given.column` as the number of its value; longer names first, so that none is
    /// taken for the beginning of another.
    fn numbered(&self, text: &str) -> String {
        let mut columns: Vec<(usize, &str)> =
            self.columns.iter().enumerate().map(|(n, (name, _))| (n + 1, *name)).collect();
        columns.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        columns
            .iter()
            .fold(text.to_owned(), |text, (n, name)| text.replace(&format!("given.{name}"), &format!("?{n}")))
    }

    fn holder(&self, n: usize, dialect: Dialect) -> String {
        match (dialect, self.columns[(n - 1) % self.columns.len()].1) {
            (Dialect::Sqlite, _) => format!("${n}"),
            (Dialect::Postgres, Kind::Int) => format!("${n}::bigint[]"),
            (Dialect::Postgres, Kind::Text) => format!("${n}::text[]"),
        }
    }
}

/// A SELECT put together from parts: a fixed beginning, filters that are asked for, an ending.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) text: String,
    pub(crate) args: Vec<Value>,
}

impl Select {
    /// Begins with a text whose placeholders are `$1 …`.
    pub(crate) fn new(text: &str, args: impl IntoIterator<Item = Value>) -> Self {
        Self { text: text.to_owned(), args: args.into_iter().collect() }
    }

    /// `AND {condition} $n`, such as `name =`.
    #[must_use]
    pub(crate) fn and(mut self, condition: &str, arg: impl Into<Value>) -> Self {
        self.args.push(arg.into());
        let _ = write!(self.text, " AND {condition} ${}", self.args.len());
        self
    }

    /// The same, when the filter is there.
    #[must_use]
    pub(crate) fn and_maybe(self, condition: &str, arg: Option<impl Into<Value>>) -> Self {
        match arg {
            Some(arg) => self.and(condition, arg),
            None => self,
        }
    }

    /// `AND {column} IN (…)`: one argument for any number of texts.
    #[must_use]
    pub(crate) fn and_among(self, column: &str, texts: &[&str], dialect: Dialect) -> Self {
        let select = match dialect {
            Dialect::Sqlite => self.then(&format!("AND {column} IN (SELECT value FROM json_each(")),
            Dialect::Postgres => {
                self.then(&format!("AND {column} IN (SELECT jsonb_array_elements_text(CAST("))
            }
        };
        let select = select.then_arg("", serde_json::json!(texts).to_string());
        select.then(if dialect == Dialect::Sqlite { "))" } else { "AS TEXT)::jsonb))" })
    }

    /// The same for numbers.
    #[must_use]
    pub(crate) fn and_among_numbers(self, column: &str, numbers: &[i64], dialect: Dialect) -> Self {
        let listed = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        match dialect {
            Dialect::Sqlite => {
                let begin = format!("AND {column} IN (SELECT value FROM json_each(");
                self.then_arg(&begin, format!("[{listed}]")).then("))")
            }
            Dialect::Postgres => {
                let begin = format!("AND {column} = ANY (CAST(CAST(");
                self.then_arg(&begin, format!("{{{listed}}}")).then("AS TEXT) AS BIGINT[]))")
            }
        }
    }

    /// Text without arguments.
    #[must_use]
    pub(crate) fn then(mut self, text: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(text);
        self
    }

    /// Text that ends in an argument, such as `LIMIT`.
    #[must_use]
    pub(crate) fn then_arg(mut self, text: &str, arg: impl Into<Value>) -> Self {
        self.args.push(arg.into());
        let _ = write!(self.text, " {text} ${}", self.args.len());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_searchable_table_may_be_one_statement() {
        static ROWS: Bulk = Bulk::insert_searchable("t", &[("a", Kind::Text), ("b", Kind::Int)]);
        assert_eq!(ROWS.text_of_rows(1), ROWS.text(Dialect::Sqlite));
        assert_eq!(ROWS.text_of_rows(3).trim(), "INSERT INTO t (a, b) VALUES ($1, $2) , ($3, $4), ($5, $6)");
    }

    #[test]
    fn one_bulk_insert_has_a_text_for_each_database() {
        static ROWS: Bulk = Bulk::insert("t", &[("a", Kind::Text), ("b", Kind::Int)], "");
        assert_eq!(ROWS.text(Dialect::Sqlite), "INSERT INTO t (a, b) VALUES ($1, $2) ");
        assert_eq!(
            ROWS.text(Dialect::Postgres),
            "INSERT INTO t (a, b) SELECT a, b FROM UNNEST($1::text[], $2::bigint[]) AS given(a, b) "
        );
    }

    #[test]
    fn filters_are_numbered_in_order() {
        let select = Select::new("SELECT a FROM t WHERE b = $1", ["x".into()])
            .and_maybe("c =", None::<i64>)
            .and("d <", 3)
            .then("ORDER BY a")
            .then_arg("LIMIT", 5);
        assert_eq!(select.text, "SELECT a FROM t WHERE b = $1 AND d < $2 ORDER BY a LIMIT $3");
        assert_eq!(select.args.len(), 3);
    }
}
