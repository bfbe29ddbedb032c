//! How a search comes to its rows: their numbers are gathered from the index, the newest first and no more than are wanted;
//! then the rows are read.
//!
//! Invariant: what is remembered of a search says no more than where to look. Whose a row is and whether it has the words
//! is asked of the row itself whenever it is shown.
//! Not here: how it is said to each database (see `search`), how long it is remembered (see `totals`).

use super::search::{Asked, Beyond, Bite, Pass, Searchable, Sought, Stretches, Words};
use crate::sql::{Dialect, Select};
use crate::totals::{FOUND_MAX, SURE, Tally};
use crate::value::Row;
use crate::{Error, Store};
use openevent_domain::planning::search::Query;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rows that PostgreSQL's index is first asked for: of a page, and of a count.
const FIRST_OF_FEW: i64 = 512;
const FIRST_OF_MANY: i64 = 8_192;
/// Rows of a search that finds many that are remembered: as many as a page has at the most, and one.
const HEAD: i64 = 101;
/// How much more is asked for each time, at the least and at the most.
const GROWTH: [i64; 2] = [2, 16];
/// Rows that are looked at one by one for a word, before the index is asked for all that begin like it.
const LOOKED_MAX: i64 = 20_000;

/// Where the page of a search begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// After so many rows.
    Offset(i64),
    /// After the row of this rank and `seq`.
    After(i64, i64),
}

/// Rows that the index knows, by filters or words or both.
pub(crate) trait Search: Sync {
    /// Where.
    fn searchable(&self) -> &'static Searchable;
    /// The columns of a row, up to its `seq`.
    fn columns(&self) -> &'static str;
    /// The words.
    fn query(&self) -> Option<&Query>;
    /// Whose rows, and the filters, as the index knows them.
    fn facets(&self) -> Vec<String>;
    /// The filters that it does not know, if there are any.
    fn beyond(&self, dialect: Dialect) -> Option<Beyond<'_>>;
    /// Adds every filter and whose rows they are, so that no index is chosen for them.
    fn filtered(&self, select: Select, dialect: Dialect) -> Select;

    /// What it is remembered by.
    fn question(&self) -> Select {
        self.gathered(Sought::All, None, &all(SURE), Dialect::Sqlite)
    }

    /// Rows by their `seq`.
    fn named(&self, seqs: &[i64], dialect: Dialect) -> Select {
        let select = self.searchable().named(self.columns(), seqs, self.query(), dialect);
        self.filtered(select, dialect)
    }

    /// What the index is asked for.
    fn asked<'a>(&'a self, sought: Sought, words: Option<&'a Words>, dialect: Dialect) -> Asked<'a> {
        let wanted = self.query().map(|query| (query, sought));
        Asked { facets: self.facets(), wanted, words, beyond: self.beyond(dialect) }
    }

    /// A row for each that the index on PostgreSQL has in some stretches.
    fn counted(&self, words: Option<&Words>, stretches: Option<Stretches>) -> Select {
        let asked = self.asked(Sought::All, words, Dialect::Postgres);
        self.searchable().picked(Select::new("SELECT FROM", []), &asked, stretches)
    }

    /// A part of the index.
    fn gathered(&self, sought: Sought, words: Option<&Words>, bite: &Bite, dialect: Dialect) -> Select {
        let asked = self.asked(sought, words, dialect);
        match dialect {
            Dialect::Sqlite => self.searchable().gathered_on_sqlite(&asked, bite),
            Dialect::Postgres => self.searchable().gathered_on_postgres(&asked, bite),
        }
    }
}

/// The rows of a search, by their `seq`, in its order.
#[derive(Debug, Default)]
pub(crate) struct Picks {
    /// So many have every term in their title, and come first.
    titles: usize,
    seqs: Vec<i64>,
}

impl Picks {
    /// Of rows with the terms in their title, and of all, each the newest first.
    pub(crate) fn new(mut titles: Vec<i64>, all: Vec<i64>) -> Self {
        let first: HashSet<i64> = titles.iter().copied().collect();
        let count = titles.len();
        titles.extend(all.into_iter().filter(|seq| !first.contains(seq)));
        Self { titles: count, seqs: titles }
    }

    pub(crate) fn len(&self) -> usize {
        self.seqs.len()
    }

    /// Which, in no order that matters.
    pub(crate) fn seqs(&self) -> &[i64] {
        &self.seqs
    }

    fn from(&self, start: Start) -> impl Iterator<Item = (Pass, i64)> {
        let (titles, rest) = self.seqs.split_at(self.titles);
        let begin = match start {
            Start::Offset(rows) => usize::try_from(rows).unwrap_or(usize::MAX),
            Start::After(rank, seq) if rank == Pass::Title.rank() => {
                titles.partition_point(|one| *one >= seq)
            }
            Start::After(_, seq) => titles.len() + rest.partition_point(|one| *one >= seq),
        };
        let pass = |n| if n < self.titles { Pass::Title } else { Pass::Rest };
        self.seqs.iter().enumerate().skip(begin).map(move |(n, seq)| (pass(n), *seq))
    }
}

/// What is known before PostgreSQL's index is asked.
struct Reckoned {
    newest: i64,
    words: Words,
}

impl Reckoned {
    /// Whether some words have to be looked for in rows.
    fn lacks_some(&self, search: &impl Search, sought: Sought) -> bool {
        search.query().is_some_and(|query| self.words.lack_some(query, sought))
    }

    /// Whether there are no words as they are sought.
    fn is_hopeless(&self, search: &impl Search, sought: Sought) -> bool {
        search.query().is_some_and(|query| self.words.is_hopeless(query, sought))
    }
}

impl Store {
    /// A page of what a search finds, and how much it finds, up to [`FOUND_MAX`].
    pub(crate) async fn search(
        &self,
        search: &impl Search,
        start: Start,
        limit: i64,
    ) -> Result<(Vec<(Pass, Row)>, i64), Error> {
        let Tally { total, picks } = self.tally(search).await?;
        if let Some(picks) = picks {
            return Ok((self.picked(search, picks.from(start), limit).await?, total));
        }
        if let Some(head) = self.head(search).await?.picks {
            let page = self.picked(search, head.from(start), limit).await?;
            if page.len() as i64 == limit {
                return Ok((page, total));
            }
        }
        Ok((self.found(search, start, limit).await?, total))
    }

    /// The first rows of a search that finds many.
    async fn head(&self, search: &impl Search) -> Result<Tally, Error> {
        let looking = async {
            let reckoned = self.reckoned(search).await?;
            let titles = Sought::Half(Pass::Title);
            let titles = self.gathered(search, &reckoned, titles, None, HEAD).await?;
            let missing = HEAD - titles.len() as i64;
            let rest = Sought::Half(Pass::Rest);
            let rest = match missing {
                0 => Vec::new(),
                _ => self.gathered(search, &reckoned, rest, None, missing).await?,
            };
            Ok(Some(Picks::new(titles, rest)))
        };
        self.tallied(search.question().then("head"), looking, async || Ok(HEAD)).await
    }

    /// How much a search finds, up to [`FOUND_MAX`], and which rows, if they are fewer than [`SURE`].
    pub(crate) async fn tally(&self, search: &impl Search) -> Result<Tally, Error> {
        let counting = async || {
            let reckoned = self.reckoned(search).await?;
            self.counted(search, &reckoned, FIRST_OF_MANY, FOUND_MAX).await
        };
        self.tallied(search.question(), self.looked_up(search), counting).await
    }

    /// The rows of a search, if they are fewer than [`SURE`].
    async fn looked_up(&self, search: &impl Search) -> Result<Option<Picks>, Error> {
        let reckoned = self.reckoned(search).await?;
        if self.are_many(search, &reckoned).await? {
            return Ok(None);
        }
        let all = self.whole(search, &reckoned, Sought::All).await?;
        if all.len() as i64 == SURE {
            return Ok(None);
        }
        let has_titles = search.query().is_some() && !all.is_empty();
        let titles = Sought::Half(Pass::Title);
        let titles = if has_titles { self.whole(search, &reckoned, titles).await? } else { Vec::new() };
        Ok(Some(Picks::new(titles, all)))
    }

    /// Whether a search seems to find more than it is worth to look up at once.
    async fn are_many(&self, search: &impl Search, reckoned: &Reckoned) -> Result<bool, Error> {
        if self.dialect() == Dialect::Sqlite || reckoned.is_hopeless(search, Sought::All) {
            return Ok(false);
        }
        let end = reckoned.newest + 1;
        let stretches = Stretches::of(FIRST_OF_MANY, end);
        let count = self.count(search.counted(Some(&reckoned.words), stretches), SURE).await?;
        let Some(stretches) = stretches.filter(|_| count < SURE) else { return Ok(count == SURE) };
        let passed = end - stretches.from();
        if count * end <= 2 * SURE * passed {
            return Ok(false);
        }
        // How many rows are looked at one by one, the count itself decides.
        let is_looked_at = reckoned.lacks_some(search, Sought::All);
        let next = if is_looked_at { FIRST_OF_MANY } else { grown(FIRST_OF_MANY, SURE * passed / count) };
        Ok(self.counted(search, reckoned, next, SURE).await? == SURE)
    }

    /// How much a search finds, up to `max`; PostgreSQL's index is first asked for so many rows.
    async fn counted(
        &self,
        search: &impl Search,
        reckoned: &Reckoned,
        mut rows: i64,
        max: i64,
    ) -> Result<i64, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(self.bitten(search, Sought::All, None, &all(max)).await?.len() as i64);
        }
        if reckoned.is_hopeless(search, Sought::All) {
            return Ok(0);
        }
        let is_looked_at = reckoned.lacks_some(search, Sought::All);
        let end = reckoned.newest + 1;
        loop {
            let stretches = Stretches::of(rows, end);
            let count = self.count(search.counted(Some(&reckoned.words), stretches), max).await?;
            let Some(stretches) = stretches.filter(|_| count < max) else { return Ok(count) };
            let wanted = max.saturating_mul(end - stretches.from()) / count.max(1);
            if is_looked_at && wanted > LOOKED_MAX {
                return self.count(search.counted(None, None), max).await;
            }
            rows = grown(rows, wanted);
        }
    }

    /// Some [`SURE`] rows of a search: all of it, if they are fewer.
    async fn whole(
        &self,
        search: &impl Search,
        reckoned: &Reckoned,
        sought: Sought,
    ) -> Result<Vec<i64>, Error> {
        if reckoned.is_hopeless(search, sought) {
            return Ok(Vec::new());
        }
        let words = Some(&reckoned.words).filter(|_| !reckoned.lacks_some(search, sought));
        let mut seqs = self.bitten(search, sought, words, &all(SURE)).await?;
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(seqs)
    }

    /// Rows that are known, in their order, but for those that are no longer what is wanted.
    async fn picked(
        &self,
        search: &impl Search,
        mut picks: impl Iterator<Item = (Pass, i64)>,
        limit: i64,
    ) -> Result<Vec<(Pass, Row)>, Error> {
        let mut page = Vec::new();
        loop {
            let missing = usize::try_from(limit).unwrap_or_default() - page.len();
            let next: Vec<(Pass, i64)> = picks.by_ref().take(missing).collect();
            if next.is_empty() {
                return Ok(page);
            }
            page.extend(self.read(search, &next).await?);
        }
    }

    async fn read(&self, search: &impl Search, wanted: &[(Pass, i64)]) -> Result<Vec<(Pass, Row)>, Error> {
        let seqs: Vec<i64> = wanted.iter().map(|(_, seq)| *seq).collect();
        let mut rows = HashMap::new();
        for row in self.rows(search.named(&seqs, self.dialect())).await? {
            rows.insert(row.last_int()?, row);
        }
        Ok(wanted.iter().filter_map(|(pass, seq)| Some((*pass, rows.remove(seq)?))).collect())
    }

    /// A page of so many rows that they are not remembered.
    async fn found(&self, search: &impl Search, start: Start, limit: i64) -> Result<Vec<(Pass, Row)>, Error> {
        let reckoned = self.reckoned(search).await?;
        let (mut offset, mut after) = match start {
            Start::Offset(rows) => (rows, None),
            Start::After(rank, seq) => (0, Some((rank, seq))),
        };
        let mut page = Vec::new();
        for pass in [Pass::Title, Pass::Rest] {
            let mut below = match after {
                Some((rank, _)) if rank != pass.rank() => continue,
                Some((_, seq)) => Some(seq),
                None => None,
            };
            loop {
                let missing = limit - page.len() as i64;
                if missing == 0 {
                    return Ok(page);
                }
                let sought = Sought::Half(pass);
                let seqs = self.gathered(search, &reckoned, sought, below, offset + missing).await?;
                let is_last = (seqs.len() as i64) < offset + missing;
                let wanted: Vec<(Pass, i64)> =
                    seqs.iter().skip(offset as usize).map(|seq| (pass, *seq)).collect();
                offset -= offset.min(seqs.len() as i64);
                below = seqs.last().copied();
                if !wanted.is_empty() {
                    page.extend(self.read(search, &wanted).await?);
                }
                if is_last {
                    break;
                }
            }
            after = None;
        }
        Ok(page)
    }

    async fn reckoned(&self, search: &impl Search) -> Result<Reckoned, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(Reckoned { newest: 0, words: Words::default() });
        }
        let beginnings = search.query().map(Words::beginnings).unwrap_or_default();
        let (mut newest, mut words) = (0, BTreeSet::new());
        for mut row in self.rows(search.searchable().reckoned(&beginnings)).await? {
            match row.text_or_null()? {
                Some(word) => drop(words.insert(word)),
                None => newest = row.int_or_null()?.unwrap_or_default(),
            }
        }
        Ok(Reckoned { newest, words: Words::new(beginnings, &words) })
    }

    /// The newest of what is sought that are older than `below`, by their `seq`.
    async fn gathered(
        &self,
        search: &impl Search,
        reckoned: &Reckoned,
        sought: Sought,
        below: Option<i64>,
        limit: i64,
    ) -> Result<Vec<i64>, Error> {
        match self.dialect() {
            Dialect::Sqlite => self.bitten(search, sought, None, &Bite { below, ..all(limit) }).await,
            Dialect::Postgres => {
                let below = below.unwrap_or(reckoned.newest + 1);
                self.gathered_by_stretches(search, reckoned, sought, below, limit).await
            }
        }
    }

    async fn gathered_by_stretches(
        &self,
        search: &impl Search,
        reckoned: &Reckoned,
        sought: Sought,
        mut below: i64,
        limit: i64,
    ) -> Result<Vec<i64>, Error> {
        if reckoned.is_hopeless(search, sought) {
            return Ok(Vec::new());
        }
        let is_looked_at = reckoned.lacks_some(search, sought);
        let mut seqs = Vec::new();
        let (begun, mut rows) = (below, FIRST_OF_FEW);
        loop {
            let stretches = Stretches::of(rows, below);
            let bite = Bite { below: Some(below), stretches, limit: limit - seqs.len() as i64 };
            seqs.extend(self.bitten(search, sought, Some(&reckoned.words), &bite).await?);
            let got = seqs.len() as i64;
            let Some(stretches) = stretches.filter(|_| got < limit) else { return Ok(seqs) };
            below = stretches.from();
            let wanted = (limit - got).saturating_mul(begun - below) / got.max(1);
            if is_looked_at && wanted > LOOKED_MAX {
                let bite = Bite { below: Some(below), ..all(limit - got) };
                seqs.extend(self.bitten(search, sought, None, &bite).await?);
                return Ok(seqs);
            }
            rows = grown(rows, wanted);
        }
    }

    async fn bitten(
        &self,
        search: &impl Search,
        sought: Sought,
        words: Option<&Words>,
        bite: &Bite,
    ) -> Result<Vec<i64>, Error> {
        let rows = self.rows(search.gathered(sought, words, bite, self.dialect())).await?;
        rows.into_iter().map(|mut row| row.int()).collect()
    }
}

/// How many rows are asked for next, where so many may be enough.
fn grown(rows: i64, wanted: i64) -> i64 {
    let [least, most] = GROWTH;
    (wanted.saturating_mul(3) / 2).clamp(rows * least, rows.saturating_mul(most))
}

/// Everything, as one.
fn all(limit: i64) -> Bite {
    Bite { below: None, stretches: None, limit }
}

/// Every statement of a search.
pub(crate) fn statements(search: &impl Search, dialect: Dialect) -> Vec<Select> {
    let words = Words::default();
    let part = Bite { below: Some(9), stretches: Stretches::of(1, 9), limit: 1 };
    let halves: &[Sought] = match search.query() {
        Some(_) => &[Sought::All, Sought::Half(Pass::Title), Sought::Half(Pass::Rest)],
        None => &[Sought::All],
    };
    let mut statements = vec![search.named(&[1, 2], dialect)];
    for sought in halves {
        for (words, bite) in [(None, all(1)), (None, Bite { below: Some(9), ..all(1) }), (Some(&words), part)]
        {
            statements.push(search.gathered(*sought, words, &bite, dialect));
        }
    }
    if dialect == Dialect::Postgres {
        let beginnings = search.query().map(Words::beginnings).unwrap_or_default();
        statements.push(search.searchable().reckoned(&beginnings));
        statements.push(search.counted(None, None).then_arg("LIMIT", 1));
        statements.push(search.counted(Some(&words), Stretches::of(1, 9)).then_arg("LIMIT", 1));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_words_in_its_title_comes_first_and_the_newest_before_others() {
        let picks = Picks::new(vec![9, 3], vec![9, 7, 5, 3, 1]);
        let (title, rest) = (Pass::Title, Pass::Rest);
        for (start, page) in [
            (Start::Offset(0), vec![(title, 9), (title, 3), (rest, 7)]),
            (Start::Offset(3), vec![(rest, 5), (rest, 1)]),
            (Start::Offset(9), vec![]),
            (Start::After(1, 9), vec![(title, 3), (rest, 7), (rest, 5)]),
            (Start::After(1, 4), vec![(title, 3), (rest, 7), (rest, 5)]),
            (Start::After(0, 7), vec![(rest, 5), (rest, 1)]),
        ] {
            assert_eq!(picks.from(start).take(3).collect::<Vec<_>>(), page, "{start:?}");
        }
    }
}
