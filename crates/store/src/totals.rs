//! Totals of lists, remembered for a few seconds, and the rows of what was searched for, while they are few.
//!
//! Invariant: a total below [`SURE`] is never older than this node's last write to a list, nor than two seconds and a half;
//! longer ones may be a little late. Of those who ask the same at one time, one counts.
//! Not here: what is counted.

use crate::planning::finding::Picks;
use crate::sql::Select;
use crate::value::Value;
use crate::{Error, Store};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Totals below this are as true as the last write.
pub(crate) const SURE: i64 = 2_001;
/// Rows of an index in the list's order that a count looks at before it says "at least so many".
pub(crate) const TOTAL_MAX: i64 = 100_000;
/// The same of what is searched for, where a row costs more.
pub(crate) const FOUND_MAX: i64 = 10_000;
/// A total is believed for so many times as long as it took to count, within these bounds.
const BELIEVED_FACTOR: u32 = 200;
const BELIEVED_MIN: Duration = Duration::from_secs(2);
const BELIEVED_MAX: Duration = Duration::from_secs(30);
/// How long it is believed that a list has at least as many rows as are counted.
const BELIEVED_FULL: Duration = Duration::from_mins(2);
/// How long the others believe an old total, or that there are at least [`SURE`], while one counts.
const RECOUNT: Duration = Duration::from_secs(5);
/// The same of short lists, to which nothing was written here.
const RECOUNT_OF_FEW: Duration = Duration::from_millis(500);
/// Lists whose totals are remembered.
const LISTS_MAX: usize = 4_096;
/// Rows whose places are remembered, of all lists together: 8 MB.
const PICKS_MAX: usize = 1_000_000;
/// Lists that are counted at one time, about: those that share a turn wait for each other.
const TURNS: usize = 64;

type Question = (String, Vec<Value>);

/// How many rows a list has, and which, if they were looked up and are few.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) total: i64,
    pub(crate) picks: Option<Arc<Picks>>,
}

impl Tally {
    fn counted(total: i64) -> Self {
        Self { total, picks: None }
    }

    fn picked(&self) -> usize {
        self.picks.as_ref().map_or(0, |picks| picks.len())
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    known: Mutex<HashMap<Question, Known>>,
    /// Counts this node's writes to lists.
    writes: AtomicU64,
    turns: Turns,
}

/// Who may count: one of those who ask the same.
#[derive(Debug)]
struct Turns {
    hasher: RandomState,
    locks: [tokio::sync::Mutex<()>; TURNS],
}

impl Default for Turns {
    fn default() -> Self {
        Self { hasher: RandomState::new(), locks: std::array::from_fn(|_| tokio::sync::Mutex::new(())) }
    }
}

impl Turns {
    fn of(&self, question: &Question) -> &tokio::sync::Mutex<()> {
        &self.locks[self.hasher.hash_one(question) as usize % TURNS]
    }
}

#[derive(Clone, Debug)]
struct Known {
    tally: Tally,
    until: Instant,
    /// This node's writes when it was counted.
    writes: u64,
}

impl Totals {
    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows of a list were written.
    pub(crate) fn moved(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    fn writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    /// A total that is still believed. Of those who ask after that, the first is to count again.
    fn believed(&self, question: &Question, now: Instant) -> Option<Tally> {
        let mut all = self.lock();
        let known = all.get_mut(question)?;
        let is_short = known.tally.total < SURE;
        if is_short && known.writes != self.writes() {
            return None;
        }
        if now < known.until {
            return Some(known.tally.clone());
        }
        known.until = now + if is_short { RECOUNT_OF_FEW } else { RECOUNT };
        None
    }

    /// The turn to count; `Err` is what is known already, or was counted by somebody else meanwhile.
    async fn turn(&self, question: &Question) -> Result<tokio::sync::MutexGuard<'_, ()>, Tally> {
        if let Some(tally) = self.believed(question, Instant::now()) {
            return Err(tally);
        }
        let lock = self.turns.of(question);
        if let Ok(turn) = lock.try_lock() {
            return Ok(turn);
        }
        let turn = lock.lock().await;
        self.believed(question, Instant::now()).map_or(Ok(turn), Err)
    }

    fn counting(&self) -> Counting {
        Counting { begun: Instant::now(), writes: self.writes() }
    }

    /// Remembers what was counted up to `max`.
    fn remember(&self, question: Question, tally: Tally, max: i64, counting: &Counting, now: Instant) {
        let took = (now - counting.begun) * BELIEVED_FACTOR;
        let believed = match tally.total {
            total if total < SURE => BELIEVED_MIN,
            total if total < max => took.clamp(BELIEVED_MIN, BELIEVED_MAX),
            _ => BELIEVED_FULL,
        };
        self.put(question, Known { tally, until: now + believed, writes: counting.writes }, now);
    }

    /// What the others believe while one counts a long list: its old total, or that there are at least [`SURE`].
    fn is_long(&self, question: &Question, counting: &Counting) {
        let total = self.lock().get(question).map_or(SURE, |known| known.tally.total.max(SURE));
        let (tally, now) = (Tally::counted(total), counting.begun);
        self.put(question.clone(), Known { tally, until: now + RECOUNT, writes: counting.writes }, now);
    }

    fn put(&self, question: Question, mut known: Known, now: Instant) {
        let mut all = self.lock();
        all.remove(&question);
        let picked = known.tally.picked();
        let has_room = |all: &HashMap<Question, Known>| {
            picked == 0 || all.values().map(|known| known.tally.picked()).sum::<usize>() + picked <= PICKS_MAX
        };
        if all.len() >= LISTS_MAX || !has_room(&all) {
            all.retain(|_, known| now < known.until);
        }
        if !has_room(&all) {
            known.tally.picks = None;
        }
        if all.len() < LISTS_MAX {
            all.insert(question, known);
        }
    }
}

/// When a count began, and after how many of this node's writes.
struct Counting {
    begun: Instant,
    writes: u64,
}

impl Store {
    /// How many rows a list has: exactly below [`SURE`], at most `max`, and a little late in between.
    pub(crate) async fn total(&self, rows: Select, max: i64) -> Result<i64, Error> {
        let question = (rows.text.clone(), rows.args.clone());
        let turn = match self.totals.turn(&question).await {
            Ok(turn) => turn,
            Err(tally) => return Ok(tally.total),
        };
        let counting = self.totals.counting();
        let mut total = self.count(rows.clone(), SURE).await?;
        if total == SURE {
            self.totals.is_long(&question, &counting);
            // The others need not wait for more than this.
            drop(turn);
            total = self.count(rows, max).await?;
        }
        self.totals.remember(question, Tally::counted(total), max, &counting, Instant::now());
        Ok(total)
    }

    /// How much a search finds, at most [`FOUND_MAX`], and what if it is few: as it is remembered under a question, or
    /// else as `looking` finds or, where that is not all, `counting` says.
    pub(crate) async fn tallied(
        &self,
        question: Select,
        looking: impl Future<Output = Result<Option<Picks>, Error>>,
        counting: impl AsyncFnOnce() -> Result<i64, Error>,
    ) -> Result<Tally, Error> {
        let question = (question.text, question.args);
        let turn = match self.totals.turn(&question).await {
            Ok(turn) => turn,
            Err(tally) => return Ok(tally),
        };
        let begun = self.totals.counting();
        let tally = if let Some(picks) = looking.await? {
            Tally { total: picks.len() as i64, picks: Some(Arc::new(picks)) }
        } else {
            self.totals.is_long(&question, &begun);
            drop(turn);
            Tally::counted(counting().await?.max(SURE))
        };
        self.totals.remember(question, tally.clone(), FOUND_MAX, &begun, Instant::now());
        Ok(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: i64 = 10_000;

    fn question() -> Question {
        ("SELECT 1".to_owned(), vec![Value::Int(1)])
    }

    fn remember(totals: &Totals, question: Question, total: i64, now: Instant) {
        let counting = Counting { begun: now, writes: totals.writes() };
        totals.remember(question, Tally::counted(total), MAX, &counting, now);
    }

    fn believed(totals: &Totals, now: Instant) -> Option<i64> {
        totals.believed(&question(), now).map(|tally| tally.total)
    }

    #[test]
    fn a_long_total_is_believed_for_a_while_and_then_counted_by_one() {
        let (totals, now) = (Totals::default(), Instant::now());
        assert_eq!(believed(&totals, now), None);

        remember(&totals, question(), 5_000, now);
        totals.moved();

        assert_eq!(believed(&totals, now + BELIEVED_MIN / 2), Some(5_000));
        assert_eq!(believed(&totals, now + BELIEVED_MIN), None, "the first counts");
        assert_eq!(believed(&totals, now + BELIEVED_MIN), Some(5_000), "the others believe");
    }

    #[test]
    fn that_there_are_at_least_so_many_is_believed_longer() {
        let (totals, now) = (Totals::default(), Instant::now());

        remember(&totals, question(), MAX, now);

        assert_eq!(believed(&totals, now + BELIEVED_MAX), Some(MAX));
        assert_eq!(believed(&totals, now + BELIEVED_FULL), None);
    }

    #[test]
    fn a_short_total_is_believed_until_something_is_written() {
        let (totals, now) = (Totals::default(), Instant::now());
        remember(&totals, question(), 7, now);
        assert_eq!(believed(&totals, now), Some(7));
        assert_eq!(believed(&totals, now + BELIEVED_MIN), None, "others may have written: the first counts");
        assert_eq!(believed(&totals, now + BELIEVED_MIN), Some(7), "the others believe");

        totals.moved();

        assert_eq!(believed(&totals, now), None);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (totals, now) = (Totals::default(), Instant::now());
        for n in 0..LISTS_MAX as i64 + 10 {
            remember(&totals, (String::new(), vec![n.into()]), n, now);
        }
        assert_eq!(totals.lock().len(), LISTS_MAX);
        remember(&totals, ("new".to_owned(), Vec::new()), 1, now + BELIEVED_MAX);
        assert_eq!(totals.lock().len(), 1);
    }

    #[test]
    fn so_have_the_rows_that_are_remembered() {
        let (totals, now) = (Totals::default(), Instant::now());
        let counting = Counting { begun: now, writes: 0 };
        for n in 0..PICKS_MAX as i64 / 1_000 + 10 {
            let picks = Some(Arc::new(Picks::new(Vec::new(), (0..1_000).collect())));
            let tally = Tally { total: 1_000, picks };
            totals.remember((String::new(), vec![n.into()]), tally, MAX, &counting, now);
        }
        let all = totals.lock();
        assert_eq!(all.values().map(|known| known.tally.picked()).sum::<usize>(), PICKS_MAX);
        assert!(all.values().all(|known| known.tally.total == 1_000));
    }
}
