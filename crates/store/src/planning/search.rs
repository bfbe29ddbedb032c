//! Full-text search in the words of each database.
//!
//! Invariant: both find the same rows in the same order: those that have every term in their title, then the others,
//! each the newest first. Terms are ASCII letters and digits, so nothing in them is syntax.
//! Not here: turning text into tokens (the domain's `planning::search`), how much of an index is read (see `finding`).

use crate::sql::{Dialect, Select};
use openevent_domain::planning::search::{Query, searchable};
use std::collections::{BTreeMap, BTreeSet};

/// The longest beginnings of tokens that the index on SQLite holds besides the whole ones: see its `prefix`.
const PREFIX_BYTES_MAX: usize = 12;
/// The index on PostgreSQL is asked for no more words in the place of a beginning.
const WORDS_MAX: usize = 64;
/// Between two texts, so that no phrase begins in one and ends in the other.
const BORDER: &str = " q ";
/// What the index on PostgreSQL is of, to the letter.
const FOUND: &str = "(search || array_to_tsvector(ARRAY[\
    'n9x' || (seq >> 9)::text, 'n11x' || (seq >> 11)::text, 'n13x' || (seq >> 13)::text, \
    'n15x' || (seq >> 15)::text, 'n17x' || (seq >> 17)::text, 'n19x' || (seq >> 19)::text, \
    'n21x' || (seq >> 21)::text, 'n23x' || (seq >> 23)::text, 'n25x' || (seq >> 25)::text, \
    'n27x' || (seq >> 27)::text, 'n29x' || (seq >> 29)::text])) \
    @@ to_tsquery('simple',";
/// How long the stretches are that it knows: so many bits of `seq` are left out.
const SHIFTS: [u32; 11] = [9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29];
/// It is asked for no more of them at once: it compares with each.
const STRETCHES_MAX: i64 = 4;

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

/// How much of what a search finds is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// All of it.
    All,
    /// A half.
    Half(Pass),
}

impl Sought {
    /// Where the terms have to be.
    fn field(self) -> Field {
        if self == Self::Half(Pass::Title) { Field::Title } else { Field::Text }
    }

    /// Whether titles must not have them.
    fn is_rest(self) -> bool {
        self == Self::Half(Pass::Rest)
    }
}

/// A part of the index: what is sought there comes the newest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bite {
    /// Only rows that are older than this one.
    pub(crate) below: Option<i64>,
    /// Only these, on PostgreSQL.
    pub(crate) stretches: Option<Stretches>,
    /// No more.
    pub(crate) limit: i64,
}

/// What the index is asked for.
pub(crate) struct Asked<'a> {
    /// Whose rows, and the filters, as it knows them.
    pub(crate) facets: Vec<String>,
    /// The words, and how much of what they find.
    pub(crate) wanted: Option<(&'a Query, Sought)>,
    /// On PostgreSQL, the words in the place of beginnings; those that stand for many are looked for in the rows. Without
    /// any, the index is asked for all beginnings as they are.
    pub(crate) words: Option<&'a Words>,
    /// Adds conditions that it does not know.
    pub(crate) beyond: Option<Beyond<'a>>,
}

/// Adds conditions, as `AND …`.
pub(crate) type Beyond<'a> = Box<dyn Fn(Select) -> Select + 'a>;

impl Asked<'_> {
    fn and_beyond(&self, select: Select) -> Select {
        match &self.beyond {
            Some(beyond) => beyond(select),
            None => select,
        }
    }
}

/// Stretches of rows in sequence, as the index on PostgreSQL knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretches {
    shift: u32,
    first: i64,
    last: i64,
}

impl Stretches {
    /// So many rows below this one, or some more; fewer where that would be too many stretches. `None` is all there are.
    pub(crate) fn of(rows: i64, below: i64) -> Option<Self> {
        if rows >= below {
            return None;
        }
        let spans = |shift: u32| Self { shift, first: (below - rows) >> shift, last: (below - 1) >> shift };
        let fits = |all: &Self| all.last - all.first < STRETCHES_MAX;
        let clipped = || {
            let all = spans(SHIFTS[SHIFTS.len() - 1]);
            Self { first: all.last - STRETCHES_MAX + 1, ..all }
        };
        Some(SHIFTS.into_iter().map(spans).find(fits).unwrap_or_else(clipped))
    }

    /// The oldest row in them.
    pub(crate) fn from(self) -> i64 {
        self.first << self.shift
    }

    fn tokens(self) -> String {
        let tokens = (self.first..=self.last).map(|n| format!("n{}x{n}", self.shift));
        format!("({})", tokens.collect::<Vec<_>>().join(" | "))
    }
}

/// The words there are, by what they begin with. Of a beginning that is not among them there are many.
#[derive(Debug, Default)]
pub(crate) struct Words(BTreeMap<String, Vec<String>>);

impl Words {
    /// The beginnings that a query asks for, in titles and in texts.
    pub(crate) fn beginnings(query: &Query) -> Vec<String> {
        beginnings(query, Field::Title).chain(beginnings(query, Field::Text)).collect()
    }

    /// Of words that begin in one of these ways.
    pub(crate) fn new(beginnings: Vec<String>, words: &BTreeSet<String>) -> Self {
        let with = |beginning: String| {
            let words = words.range(beginning.clone()..).take_while(|word| word.starts_with(&beginning));
            let words: Vec<String> = words.cloned().collect();
            (beginning, words)
        };
        let all = beginnings.into_iter().map(with);
        Self(all.filter(|(_, words)| words.len() <= WORDS_MAX).collect())
    }

    /// Whether there is nothing to be found where the words of a query may be.
    pub(crate) fn is_hopeless(&self, query: &Query, sought: Sought) -> bool {
        beginnings(query, sought.field()).any(|beginning| self.0.get(&beginning).is_some_and(Vec::is_empty))
    }

    /// Whether some words have to be looked for in rows.
    pub(crate) fn lack_some(&self, query: &Query, sought: Sought) -> bool {
        let lacks = |field| beginnings(query, field).any(|beginning| !self.0.contains_key(&beginning));
        lacks(sought.field()) || (sought.is_rest() && lacks(Field::Title))
    }
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

/// What the words begin with that may go on.
fn beginnings(query: &Query, field: Field) -> impl Iterator<Item = String> {
    let last = terms(query, field).into_iter().filter_map(|mut term| term.pop());
    last.filter(|token| goes_on(token))
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
            Dialect::Postgres => {
                let wanted = all_of(terms(query, field).iter().filter_map(|term| phrase(term, None)));
                select.then_arg("((search @@ to_tsquery('simple',", wanted).then(")) IS TRUE)")
            }
        }
    }

    /// The same of rows of some half.
    fn tested_of(&self, select: Select, query: &Query, sought: Sought, dialect: Dialect) -> Select {
        let select = self.tested(select.then("AND"), query, sought.field(), dialect);
        if sought.is_rest() {
            self.tested(select.then("AND NOT"), query, Field::Title, dialect)
        } else {
            select
        }
    }

    /// The beginning of a statement that gives rows by their `seq`, up to where conditions on columns follow as `AND …`.
    pub(crate) fn named(
        &self,
        columns: &str,
        seqs: &[i64],
        query: Option<&Query>,
        dialect: Dialect,
    ) -> Select {
        let table = self.table;
        let select = Select::new(columns, []).then(&format!("{table}.seq FROM {table} WHERE TRUE"));
        let select = select.and_among_numbers(&format!("{table}.seq"), seqs, dialect);
        match query {
            Some(query) => self.tested(select.then("AND"), query, Field::Text, dialect),
            None => select,
        }
    }

    /// The `seq` of rows, the newest first, by the index on SQLite.
    pub(crate) fn gathered_on_sqlite(&self, asked: &Asked<'_>, bite: &Bite) -> Select {
        let Self { table, index } = self;
        let is_exact = asked.wanted.is_none_or(|(query, _)| is_exact(query));
        let found = match_text(&asked.facets, asked.wanted, is_exact);
        let select = Select::new("SELECT", []);
        let select = if is_exact && asked.beyond.is_none() {
            select.then_arg(&format!("{index}.rowid FROM {index} WHERE {index} MATCH"), found)
        } else {
            let joined = format!(
                "{index}.rowid FROM {index} CROSS JOIN {table} ON {table}.seq = {index}.rowid WHERE {index} MATCH"
            );
            let select = select.then_arg(&joined, found);
            asked.and_beyond(match asked.wanted {
                Some((query, sought)) if !is_exact => self.tested_of(select, query, sought, Dialect::Sqlite),
                _ => select,
            })
        };
        select
            .and_maybe(&format!("{index}.rowid <"), bite.below)
            .then(&format!("ORDER BY {index}.rowid DESC"))
            .then_arg("LIMIT", bite.limit)
    }

    /// The same on PostgreSQL, in no order where `below` is not given.
    pub(crate) fn gathered_on_postgres(&self, asked: &Asked<'_>, bite: &Bite) -> Select {
        let select = self.picked(Select::new("SELECT seq FROM", []), asked, bite.stretches);
        // No index is in this order, so none is gone through for it.
        let select = match bite.below {
            Some(below) => select.then_arg("AND (seq + 0) <", below).then("ORDER BY (seq + 0) DESC"),
            None => select,
        };
        select.then_arg("LIMIT", bite.limit)
    }

    /// The beginning of such a statement, up to where more conditions may follow.
    pub(crate) fn picked(&self, select: Select, asked: &Asked<'_>, stretches: Option<Stretches>) -> Select {
        let mut all = asked.facets.clone();
        all.extend(stretches.map(Stretches::tokens));
        let mut is_tested = false;
        if let Some((query, sought)) = asked.wanted {
            let phrases = |field| terms(query, field).into_iter().map(|term| phrase(&term, asked.words));
            is_tested = asked.words.is_some_and(|words| words.lack_some(query, sought));
            all.extend(phrases(sought.field()).flatten());
            if sought.is_rest() && !is_tested {
                all.push(format!("!({})", all_of(phrases(Field::Title).flatten())));
            }
        }
        let select = select.then_arg(&format!("{} WHERE {FOUND}", self.table), all_of(all)).then(")");
        asked.and_beyond(match asked.wanted {
            Some((query, sought)) if is_tested => self.tested_of(select, query, sought, Dialect::Postgres),
            _ => select,
        })
    }

    /// On PostgreSQL: the newest row, and the words there are with each of these beginnings.
    pub(crate) fn reckoned(&self, beginnings: &[String]) -> Select {
        let newest = Select::new(&format!("SELECT NULL AS word, MAX(seq) FROM {}", self.table), []);
        beginnings.iter().fold(newest, |select, beginning| {
            select
                .then_arg("UNION ALL (SELECT word, NULL FROM search_words WHERE word >=", beginning.as_str())
                .then_arg("AND word <", format!("{beginning}~"))
                .then_arg("ORDER BY word LIMIT", WORDS_MAX as i64 + 1)
                .then(")")
        })
    }
}

/// FTS5: facets, and phrases whose last token may go on, joined by AND. Of a longer beginning than it knows, the index
/// is asked for as much as it knows, and the rows themselves for the rest.
fn match_text(facets: &[String], wanted: Option<(&Query, Sought)>, is_exact: bool) -> String {
    let phrase = |mut tokens: Vec<String>| {
        let last = tokens.last_mut().filter(|token| goes_on(token));
        let beginning = last.map_or("", |token| {
            token.truncate(PREFIX_BYTES_MAX);
            " *"
        });
        format!("\"{}\"{beginning}", tokens.join(" "))
    };
    let phrases = |query, field| terms(query, field).into_iter().map(phrase);
    let mut all: Vec<String> = facets.iter().map(|facet| format!("\"{facet}\"")).collect();
    let Some((query, sought)) = wanted else { return all.join(" AND ") };
    all.extend(phrases(query, sought.field()));
    if sought.is_rest() && is_exact {
        let titles: Vec<String> = phrases(query, Field::Title).collect();
        format!("({}) NOT ({})", all.join(" AND "), titles.join(" AND "))
    } else {
        all.join(" AND ")
    }
}

/// A phrase of a `tsquery`: tokens that follow each other, the last of which may go on to the words that there are;
/// `None` where these are many.
fn phrase(tokens: &[String], words: Option<&Words>) -> Option<String> {
    let (last, before) = tokens.split_last()?;
    let last = match words {
        _ if !goes_on(last) => last.clone(),
        None => format!("{last}:*"),
        Some(words) => match words.0.get(last)?.as_slice() {
            [] => last.clone(),
            words => format!("({})", words.join(" | ")),
        },
    };
    let followed = before.iter().cloned().chain([last]).collect::<Vec<_>>();
    Some(format!("({})", followed.join(" <-> ")))
}

fn all_of(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(" & ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Sought = Sought::All;
    const TITLE: Sought = Sought::Half(Pass::Title);
    const REST: Sought = Sought::Half(Pass::Rest);

    fn asked(facets: &[String], query: &Query, sought: Sought, words: Option<&Words>) -> String {
        let all = Bite { below: None, stretches: None, limit: 1 };
        let searchable = Searchable { table: "t", index: "i" };
        let asked = Asked { facets: facets.to_vec(), wanted: Some((query, sought)), words, beyond: None };
        let select = searchable.gathered_on_postgres(&asked, &all);
        let Some(crate::value::Value::Text(text)) = select.args.first() else { panic!("{select:?}") };
        text.clone()
    }

    #[test]
    fn a_query_has_a_text_for_each_database() {
        let query = Query::parse("100% vegan").expect("terms");
        let facets = [facet('d', "draft")];
        let [draft] = &facets;
        let on_sqlite = |sought| match_text(&facets, Some((&query, sought)), true);
        let text = format!("\"{draft}\" AND \"w100 s25q\" AND \"wvegan\" *");
        assert_eq!(on_sqlite(ALL), text);
        assert_eq!(on_sqlite(REST), format!("({text}) NOT (\"t100 u25q\" AND \"tvegan\" *)"));
        assert_eq!(asked(&facets, &query, ALL, None), format!("{draft} & (w100 <-> s25q) & (wvegan:*)"));
        assert_eq!(asked(&[], &query, TITLE, None), "(t100 <-> u25q) & (tvegan:*)");
        let rest = format!("{draft} & (w100 <-> s25q) & (wvegan:*) & !((t100 <-> u25q) & (tvegan:*))");
        assert_eq!(asked(&facets, &query, REST, None), rest);
    }

    #[test]
    fn postgresql_is_asked_for_the_words_there_are() {
        let query = Query::parse("50% veg").expect("terms");
        let words = ["tvegan", "wvegan", "wvegetables", "wvehicle"].map(str::to_owned).into();
        let words = Words::new(Words::beginnings(&query), &words);
        assert_eq!(asked(&[], &query, ALL, Some(&words)), "(w50 <-> s25q) & ((wvegan | wvegetables))");
        assert_eq!(asked(&[], &query, TITLE, Some(&words)), "(t50 <-> u25q) & ((tvegan))");
        assert!(!words.is_hopeless(&query, ALL) && !words.lack_some(&query, REST));

        let none = Words::new(Words::beginnings(&query), &BTreeSet::new());
        assert!(none.is_hopeless(&query, ALL) && !none.lack_some(&query, REST));

        let many: BTreeSet<String> = (0..=WORDS_MAX).map(|n| format!("wveg{n}")).collect();
        let many = Words::new(Words::beginnings(&query), &many);
        assert!(
            !many.is_hopeless(&query, ALL) && many.lack_some(&query, ALL) && !many.lack_some(&query, TITLE)
        );
        assert_eq!(asked(&[], &query, ALL, Some(&many)), "(w50 <-> s25q)", "the rest is looked for in rows");
    }

    #[test]
    fn stretches_are_as_short_as_they_can_be() {
        let of = |rows, below| {
            let all = Stretches::of(rows, below).expect("not all there are");
            assert!(all.from() <= below - rows || all.shift == 29);
            (all.tokens(), all.from())
        };
        assert_eq!(Stretches::of(1, 1), None);
        assert_eq!(Stretches::of(1_000_000, 1_000_000), None);
        assert_eq!(of(100, 1_025), ("(n9x1 | n9x2)".to_owned(), 512));
        assert_eq!(of(999, 1_000), ("(n9x0 | n9x1)".to_owned(), 0));
        assert_eq!(of(8_192, 1_000_000).1, (1_000_000 - 8_192) >> 13 << 13);
        assert_eq!(of(900_000, 1_000_000).0, "(n19x0 | n19x1)");
        let vast = 1_i64 << 40;
        assert_eq!(of(vast - 1, vast).1, vast - (4 << 29));
    }

    #[test]
    fn the_index_is_asked_for_beginnings_as_long_as_it_knows() {
        for (text, asked, exact) in [
            ("x", "wx", true),
            ("conferences", "wconferences", true),
            ("interpretation", "winterpretat", false),
        ] {
            let query = Query::parse(text).expect("a term");
            let is_exact = is_exact(&query);
            assert_eq!(is_exact, exact, "{text}");
            for sought in [ALL, REST] {
                let text = match_text(&[], Some((&query, sought)), is_exact);
                assert!(text.trim_start_matches('(').starts_with(&format!("\"{asked}\" *")), "{text}");
                assert_eq!(text.contains("NOT"), exact && sought == REST, "{text}");
            }
        }
    }

    #[test]
    fn titles_have_tokens_of_their_own_and_texts_a_border() {
        assert_eq!(title_tokens("Go 100%"), "tgo t100 u25q");
        assert_eq!(text_tokens([Some("Go"), None, Some("on!")]), "wgo q won s21q");
    }
}
