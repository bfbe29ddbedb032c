//! Where the page of a list begins, for lists that are sorted by id.
//!
//! Invariant: going on after an id skips nothing and repeats nothing, whatever was added meanwhile.
//! Not here: lists in other orders; each has a place of its own.

use crate::sql::Select;

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// After skipping so many rows.
    Offset(i64),
    /// After the row of this id.
    After(String),
}

impl Place {
    /// The rest of a SELECT whose filters are there: newest first, up to `limit`.
    pub(crate) fn newest_first(&self, select: Select, column: &str, limit: i64) -> Select {
        let (select, offset) = match self {
            Self::Offset(rows) => (select, *rows),
            Self::After(id) => (select.and(&format!("{column} <"), id.as_str()), 0),
        };
        let select = select.then(&format!("ORDER BY {column} DESC"));
        select.then_arg("LIMIT", limit).then_arg("OFFSET", offset)
    }
}
