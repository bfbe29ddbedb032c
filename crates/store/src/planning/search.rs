//! Full-text search in the words of each database.
//!
//! Invariant: both find the same rows in the same order: those that have every term in their title, then the others,
//! each the newest first. A page costs about the same however much is found (see `docs/planning.md`). Terms are ASCII
//! letters and digits, so nothing in them is syntax.
//! Not here: turning text into tokens (the domain's `planning::search`).

use crate::sql::{Dialect, Select};
use crate::totals::FOUND_MAX;
use crate::value::Row;
use crate::{Error, Store};
use openevent_domain::planning::search::{Query, searchable};

/// Up to so many rows are taken from the search index and sorted; where there are more, the rows are gone through in
/// the order of the list, since enough of them fit.
pub(crate) const PICKED_MAX: i64 = 2_000;
/// The longest beginnings of tokens that the index on SQLite holds besides the whole ones: see its `prefix`.
const PREFIX_BYTES_MAX: usize = 12;
/// Between two texts, so that no phrase begins in one and ends in the other.
const BORDER: &str = " q ";

/// A searchable table, and its search index on SQLite.
pub(crate) struct Searchable {
    pub(crate) table: &'static str,
    pub(crate) index: &'static str,
}

/// Where terms are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// In the title alone.
    Title,
    /// In all of the text.
    Text,
}

/// The first or the second half of what a search finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Rows with every term in their title.
    Title,
    /// The other rows.
    Rest,
}

impl Pass {
    /// Its place in a cursor.
    pub(crate) fn rank(self) -> i64 {
        i64::from(self == Self::Title)
    }
}

/// How a list comes to its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In its order, looking at each row whether it fits.
    Ordered,
    /// Those that fit, by an index that knows them, sorted afterwards.
    Picked,
}

impl Way {
    /// The way to so many rows.
    pub(crate) fn to(total: i64) -> Self {
        if total <= PICKED_MAX { Self::Picked } else { Self::Ordered }
    }

    /// The ways to what has the words in its title, and to the rest of all that was found.
    pub(crate) fn to_halves(titles: i64, total: i64) -> (Self, Self) {
        let rest = if total < FOUND_MAX { Self::to(total - titles) } else { Self::Ordered };
        (Self::to(titles), rest)
    }
}

/// The part of a search's result that a statement is to give: after the row with this `seq`, if any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) pass: Pass,
    pub(crate) way: Way,
    pub(crate) after: Option<i64>,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

/// Where the page of a search begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// After so many rows.
    Offset(i64),
    /// After the row of this rank and `seq`.
    After(i64, i64),
}

/// A token that stands for the value of a column: a letter for the column, a hash for the value.
pub(crate) fn facet(column: char, value: &str) -> String {
    // FNV-1a. Rows are compared by their columns too, so that two values with one hash are not mistaken.
    let hash = value.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{column}{hash:016x}")
}

/// What is stored of a title to be searched.
pub(crate) fn title_tokens(title: &str) -> String {
    searchable(title).split(' ').map(in_title).collect::<Vec<_>>().join(" ")
}

/// What is stored of all the texts to be searched.
pub(crate) fn text_tokens<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    texts.into_iter().flatten().map(searchable).collect::<Vec<_>>().join(BORDER)
}

/// A token as it is in titles: a word begins with `t` instead of `w`, a sign with `u` instead of `s`.
fn in_title(token: &str) -> String {
    match token.split_at_checked(1) {
        Some(("w", rest)) => format!("t{rest}"),
        Some(("s", rest)) => format!("u{rest}"),
        _ => token.to_owned(),
    }
}

/// The terms in one field; of each, the last token may go on.
fn terms(query: &Query, field: Field) -> Vec<Vec<String>> {
    let token = |token: &String| if field == Field::Title { in_title(token) } else { token.clone() };
    query.terms().iter().map(|term| term.iter().map(token).collect()).collect()
}

/// Signs have an end, words may go on.
fn goes_on(token: &str) -> bool {
    token.starts_with(['w', 't'])
}

/// Whether SQLite's index alone knows what a query finds.
fn is_exact(query: &Query) -> bool {
    let known = |token: &String| !goes_on(token) || token.len() <= PREFIX_BYTES_MAX;
    query.terms().iter().filter_map(|term| term.last()).all(known)
}

impl Searchable {
    /// A condition: the row has these facets and, in this field, every term; by the search index.
    pub(crate) fn picked(
        &self,
        select: Select,
        facets: &[String],
        query: Option<(&Query, Field)>,
        dialect: Dialect,
    ) -> Select {
        let Self { table, index } = self;
        match dialect {
            Dialect::Sqlite => {
                let found = format!("{table}.seq IN (SELECT rowid FROM {index} WHERE {index} MATCH");
                let select = select.then_arg(&found, match_text(facets, query)).then(")");
                match query {
                    Some((query, field)) => self.tested(select.then("AND"), query, field, dialect),
                    None => select,
                }
            }
            Dialect::Postgres => {
                select.then_arg("search @@ to_tsquery('simple',", tsquery(facets, query)).then(")")
            }
        }
    }

    /// A row for each that has these facets and, in this field, every term, where the search index alone knows them:
    /// then no row is read.
    pub(crate) fn known(
        &self,
        facets: &[String],
        query: Option<(&Query, Field)>,
        dialect: Dialect,
    ) -> Option<Select> {
        let Self { table, index } = self;
        match dialect {
            Dialect::Sqlite if query.is_none_or(|(query, _)| is_exact(query)) => {
                let found = format!("SELECT rowid FROM {index} WHERE {index} MATCH");
                Some(Select::new("", []).then_arg(&found, match_text(facets, query)))
            }
            Dialect::Sqlite => None,
            Dialect::Postgres => {
                let select = Select::new(&format!("SELECT FROM {table} WHERE"), []);
                Some(self.picked(select, facets, query, dialect))
            }
        }
    }

    /// A condition on the row itself: it has every term in this field. No index is asked.
    pub(crate) fn tested(&self, select: Select, query: &Query, field: Field, dialect: Dialect) -> Select {
        let table = self.table;
        match dialect {
            Dialect::Sqlite => {
                let column = if field == Field::Title { "search_title" } else { "search_text" };
                let holds = format!("AND instr(' ' || {table}.{column},");
                let test = |select: Select, term: Vec<String>| {
                    select.then_arg(&holds, format!(" {}", term.join(" "))).then(") > 0")
                };
                terms(query, field).into_iter().fold(select.then("(TRUE"), test).then(")")
            }
            Dialect::Postgres => select
                .then_arg("((search @@ to_tsquery('simple',", tsquery(&[], Some((query, field))))
                .then(")) IS TRUE)"),
        }
    }

    /// The beginning of a statement that gives a part of what a search finds, up to where its conditions on columns
    /// follow as `AND …`; [`Self::ended`] is its end.
    pub(crate) fn found(
        &self,
        columns: &str,
        facets: &[String],
        query: &Query,
        part: Part,
        dialect: Dialect,
    ) -> Select {
        let Self { table, index } = self;
        let select = Select::new(columns, []).then(&format!("{table}.seq FROM"));
        let field = if part.pass == Pass::Title { Field::Title } else { Field::Text };
        let wanted = Some((query, field));
        let select = match (dialect, part.way) {
            (Dialect::Sqlite, _) => {
                let from =
                    format!("{index} CROSS JOIN {table} ON {table}.seq = {index}.rowid WHERE {index} MATCH");
                let select = select.then_arg(&from, match_text(facets, wanted)).then("AND");
                self.tested(select, query, field, dialect)
            }
            (Dialect::Postgres, Way::Picked) => {
                let mut wanted = tsquery(facets, wanted);
                if part.pass == Pass::Rest {
                    wanted = format!("{wanted} & !({})", tsquery(&[], Some((query, Field::Title))));
                }
                select.then_arg(&format!("{table} WHERE search @@ to_tsquery('simple',"), wanted).then(")")
            }
            (Dialect::Postgres, Way::Ordered) => {
                self.tested(select.then(&format!("{table} WHERE")), query, field, dialect)
            }
        };
        let is_told = part.pass == Pass::Title || (dialect, part.way) == (Dialect::Postgres, Way::Picked);
        let select =
            if is_told { select } else { self.tested(select.then("AND NOT"), query, Field::Title, dialect) };
        match (part.after, dialect) {
            (None, _) => select,
            (Some(seq), Dialect::Sqlite) => select.then_arg(&format!("AND {index}.rowid <"), seq),
            (Some(seq), Dialect::Postgres) => select.then_arg("AND seq <", seq),
        }
    }

    /// The end of what [`Self::found`] began.
    pub(crate) fn ended(&self, select: Select, part: Part, dialect: Dialect) -> Select {
        let order = match (dialect, part.way) {
            (Dialect::Sqlite, _) => format!("{}.rowid", self.index),
            (Dialect::Postgres, Way::Ordered) => "seq".to_owned(),
            // No index is in this order, so none is gone through for it.
            (Dialect::Postgres, Way::Picked) => "(seq + 0)".to_owned(),
        };
        select
            .then(&format!("ORDER BY {order} DESC"))
            .then_arg("LIMIT", part.limit)
            .then_arg("OFFSET", part.offset)
    }
}

impl Store {
    /// A page of what a search finds. `part` makes the statement for a part of it; `titles` gives a row for each
    /// that has every term in its title.
    pub(crate) async fn found(
        &self,
        start: Start,
        limit: i64,
        part: impl Fn(Pass, Option<i64>, i64, i64) -> Select,
        titles: Select,
    ) -> Result<Vec<(Pass, Row)>, Error> {
        let (mut offset, after) = match start {
            Start::Offset(rows) => (rows, None),
            Start::After(rank, seq) => (0, Some((rank, seq))),
        };
        let after_in = |pass: Pass| after.filter(|(rank, _)| *rank == pass.rank()).map(|(_, seq)| seq);
        let mut found = Vec::new();
        if after.is_none_or(|(rank, _)| rank == Pass::Title.rank()) {
            let rows = self.rows(part(Pass::Title, after_in(Pass::Title), offset, limit)).await?;
            found.extend(rows.into_iter().map(|row| (Pass::Title, row)));
            offset =
                if found.is_empty() && offset > 0 { offset - self.count(titles, offset).await? } else { 0 };
        }
        let left = limit - found.len() as i64;
        if left > 0 {
            let rows = self.rows(part(Pass::Rest, after_in(Pass::Rest), offset, left)).await?;
            found.extend(rows.into_iter().map(|row| (Pass::Rest, row)));
        }
        Ok(found)
    }
}

/// FTS5: facets, and phrases whose last token may go on, joined by AND. Of a longer beginning than it knows, the index
/// is asked for as much as it knows, and the rows themselves for the rest.
fn match_text(facets: &[String], query: Option<(&Query, Field)>) -> String {
    let phrase = |mut tokens: Vec<String>| {
        let last = tokens.last_mut().filter(|token| goes_on(token));
        let beginning = last.map_or("", |token| {
            token.truncate(PREFIX_BYTES_MAX);
            " *"
        });
        format!("\"{}\"{beginning}", tokens.join(" "))
    };
    let facets = facets.iter().map(|facet| format!("\"{facet}\""));
    let terms = query.map(|(query, field)| terms(query, field)).unwrap_or_default();
    facets.chain(terms.into_iter().map(phrase)).collect::<Vec<_>>().join(" AND ")
}

/// `tsquery`: facets, and tokens that follow each other, the last of which may go on.
fn tsquery(facets: &[String], query: Option<(&Query, Field)>) -> String {
    let phrase = |tokens: Vec<String>| {
        let beginning = if tokens.last().is_some_and(|token| goes_on(token)) { ":*" } else { "" };
        format!("({}{beginning})", tokens.join(" <-> "))
    };
    let terms = query.map(|(query, field)| terms(query, field)).unwrap_or_default();
    facets.iter().cloned().chain(terms.into_iter().map(phrase)).collect::<Vec<_>>().join(" & ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_a_text_for_each_database() {
        let query = Query::parse("100% vegan").expect("terms");
        let facets = [facet('d', "draft")];
        let text = Some((&query, Field::Text));
        assert_eq!(
            match_text(&facets, text),
            format!("\"{}\" AND \"w100 s25q\" AND \"wvegan\" *", facets[0])
        );
        assert_eq!(tsquery(&facets, text), format!("{} & (w100 <-> s25q) & (wvegan:*)", facets[0]));
        assert_eq!(tsquery(&[], Some((&query, Field::Title))), "(t100 <-> u25q) & (tvegan:*)");
    }

    #[test]
    fn the_index_is_asked_for_beginnings_as_long_as_it_knows() {
        for (text, asked, exact) in [
            ("x", "wx", true),
            ("conferences", "wconferences", true),
            ("interpretation", "winterpretat", false),
        ] {
            let query = Query::parse(text).expect("a term");
            assert_eq!(match_text(&[], Some((&query, Field::Text))), format!("\"{asked}\" *"), "{text}");
            assert_eq!(is_exact(&query), exact, "{text}");
        }
    }

    #[test]
    fn titles_have_tokens_of_their_own_and_texts_a_border() {
        assert_eq!(title_tokens("Go 100%"), "tgo t100 u25q");
        assert_eq!(text_tokens([Some("Go"), None, Some("on!")]), "wgo q won s21q");
    }
}
