//! Full-text search in the words of each database.
//!
//! Invariant: both find the same rows and rank them alike: those that have every term in their first column, then
//! the others. Terms are ASCII letters and digits, so nothing in them is syntax.
//! Not here: turning text into tokens (the domain's `planning::search`).

use crate::sql::{Dialect, Select};
use openevent_domain::planning::search::Query;

/// A searchable table: its name, its search index on SQLite, and the index's first column.
pub(crate) struct Searchable {
    pub(crate) table: &'static str,
    pub(crate) index: &'static str,
    pub(crate) first: &'static str,
}

impl Searchable {
    /// `AND …`: only rows that have every term.
    pub(crate) fn only(&self, select: Select, query: &Query, dialect: Dialect) -> Select {
        let Self { table, index, .. } = self;
        match dialect {
            Dialect::Sqlite => select
                .then_arg(
                    &format!("AND {table}.seq IN (SELECT rowid FROM {index} WHERE {index} MATCH"),
                    match_text(query),
                )
                .then(")"),
            Dialect::Postgres => select
                .then_arg(&format!("AND {table}.search @@ to_tsquery('simple',"), tsquery(query, ""))
                .then(")"),
        }
    }

    /// An expression that is 1 for rows with every term in their first column, else 0.
    pub(crate) fn rank(&self, select: Select, query: &Query, dialect: Dialect) -> Select {
        let Self { table, index, first } = self;
        let select = match dialect {
            Dialect::Sqlite => select.then_arg(
                &format!("CASE WHEN {table}.seq IN (SELECT rowid FROM {index} WHERE {index} MATCH"),
                format!("{first} : ({})", match_text(query)),
            ),
            Dialect::Postgres => select
                .then_arg(&format!("CASE WHEN {table}.search @@ to_tsquery('simple',"), tsquery(query, "A")),
        };
        select.then(") THEN CAST(1 AS BIGINT) ELSE 0 END")
    }
}

/// FTS5: phrases whose last token is a beginning, joined by AND.
fn match_text(query: &Query) -> String {
    let phrase = |tokens: &Vec<String>| format!("\"{}\" *", tokens.join(" "));
    query.terms().iter().map(phrase).collect::<Vec<_>>().join(" AND ")
}

/// `tsquery`: tokens that follow each other, the last one a beginning, in a column of this weight (or any).
fn tsquery(query: &Query, weight: &str) -> String {
    let phrase = |tokens: &Vec<String>| {
        let last = tokens.len().saturating_sub(1);
        let token = |(n, token): (usize, &String)| {
            let beginning = if n == last { "*" } else { "" };
            if beginning.is_empty() && weight.is_empty() {
                return token.clone();
            }
            format!("{token}:{beginning}{weight}")
        };
        format!("({})", tokens.iter().enumerate().map(token).collect::<Vec<_>>().join(" <-> "))
    };
    query.terms().iter().map(phrase).collect::<Vec<_>>().join(" & ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_a_text_for_each_database() {
        let query = Query::parse("100% vegan").expect("terms");
        assert_eq!(match_text(&query), "\"w100 s25q\" * AND \"wvegan\" *");
        assert_eq!(tsquery(&query, ""), "(w100 <-> s25q:*) & (wvegan:*)");
        assert_eq!(tsquery(&query, "A"), "(w100:A <-> s25q:*A) & (wvegan:*A)");
    }
}
