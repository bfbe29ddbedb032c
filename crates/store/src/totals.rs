//! Totals of lists, remembered for a few seconds.
//!
//! Invariant: a total below [`SURE`] is never older than this node's last write to a list, nor than two seconds; longer
//! ones may be a little late. Of those who ask the same at one time, one counts.
//! Not here: what is counted.

use crate::sql::Select;
use crate::value::Value;
use crate::{Error, Store};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
/// How long the others believe an old total, or that there are at least [`SURE`], while one counts.
const RECOUNT: Duration = Duration::from_secs(5);
/// Lists whose totals are remembered.
const LISTS_MAX: usize = 4_096;
/// Lists that are counted at one time, about: those that share a turn wait for each other.
const TURNS: usize = 64;

type Question = (String, Vec<Value>);

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

#[derive(Clone, Copy, Debug)]
struct Known {
    total: i64,
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
    fn believed(&self, question: &Question, now: Instant) -> Option<i64> {
        let mut all = self.lock();
        let known = all.get_mut(question)?;
        let is_fresh = now < known.until;
        if known.total < SURE {
            return (is_fresh && known.writes == self.writes()).then_some(known.total);
        }
        if is_fresh {
            return Some(known.total);
        }
        known.until = now + RECOUNT;
        None
    }

    /// Remembers a total that took so long to count, and was counted after so many writes.
    fn remember(&self, question: Question, total: i64, took: Duration, writes: u64, now: Instant) {
        let believed = (took * BELIEVED_FACTOR).clamp(BELIEVED_MIN, BELIEVED_MAX);
        let believed = if total < SURE { BELIEVED_MIN } else { believed };
        self.put(question, Known { total, until: now + believed, writes }, now);
    }

    /// What the others believe while one counts a long list: its old total, or that there are at least [`SURE`].
    fn is_long(&self, question: &Question, writes: u64, now: Instant) {
        let total = self.lock().get(question).map_or(SURE, |known| known.total.max(SURE));
        self.put(question.clone(), Known { total, until: now + RECOUNT, writes }, now);
    }

    fn put(&self, question: Question, known: Known, now: Instant) {
        let mut all = self.lock();
        if all.len() >= LISTS_MAX {
            all.retain(|_, known| now < known.until);
        }
        if all.len() < LISTS_MAX {
            all.insert(question, known);
        }
    }
}

impl Store {
    /// How many rows a list has: exactly below [`SURE`], at most `max`, and a little late in between.
    pub(crate) async fn total(&self, rows: Select, max: i64) -> Result<i64, Error> {
        let question = (rows.text, rows.args);
        if let Some(total) = self.totals.believed(&question, Instant::now()) {
            return Ok(total);
        }
        let lock = self.totals.turns.of(&question);
        let turn = if let Ok(turn) = lock.try_lock() {
            turn
        } else {
            let turn = lock.lock().await;
            if let Some(total) = self.totals.believed(&question, Instant::now()) {
                return Ok(total);
            }
            turn
        };
        let (begun, writes) = (Instant::now(), self.totals.writes());
        let rows = || Select { text: question.0.clone(), args: question.1.clone() };
        let mut total = self.count(rows(), SURE).await?;
        if total == SURE {
            self.totals.is_long(&question, writes, begun);
            // The others need not wait for more than this.
            drop(turn);
            total = self.count(rows(), max).await?;
        }
        let now = Instant::now();
        self.totals.remember(question, total, now - begun, writes, now);
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        ("SELECT 1".to_owned(), vec![Value::Int(1)])
    }

    #[test]
    fn a_long_total_is_believed_for_a_while_and_then_counted_by_one() {
        let (totals, now) = (Totals::default(), Instant::now());
        assert_eq!(totals.believed(&question(), now), None);

        totals.remember(question(), 5_000, Duration::from_millis(1), 0, now);
        totals.moved();

        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN / 2), Some(5_000));
        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN), None, "the first counts");
        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN), Some(5_000), "the others believe");
    }

    #[test]
    fn a_short_total_is_believed_until_something_is_written() {
        let (totals, now) = (Totals::default(), Instant::now());
        totals.remember(question(), 7, Duration::from_secs(1), totals.writes(), now);
        assert_eq!(totals.believed(&question(), now), Some(7));
        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN), None, "others may have written");

        totals.moved();

        assert_eq!(totals.believed(&question(), now), None);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (totals, now) = (Totals::default(), Instant::now());
        for n in 0..LISTS_MAX as i64 + 10 {
            totals.remember((String::new(), vec![n.into()]), n, Duration::ZERO, 0, now);
        }
        assert_eq!(totals.lock().len(), LISTS_MAX);
        let later = now + BELIEVED_MAX;
        totals.remember(("new".to_owned(), Vec::new()), 1, Duration::ZERO, 0, later);
        assert_eq!(totals.lock().len(), 1);
    }
}
