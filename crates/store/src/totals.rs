//! Totals of long lists, remembered for a few seconds.
//!
//! Invariant: a list of fewer than [`SURE`] rows is counted anew each time, so its total is always true.
//! Not here: what is counted.

use crate::sql::Select;
use crate::value::Value;
use crate::{Error, Store};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Rows that are counted for every question.
pub(crate) const SURE: i64 = 2_001;
/// Rows a count looks at before it says "at least so many".
pub(crate) const TOTAL_MAX: i64 = 100_000;
/// A total is believed for so many times as long as it took to count, within these bounds.
const BELIEVED_FACTOR: u32 = 200;
const BELIEVED_MIN: Duration = Duration::from_secs(2);
const BELIEVED_MAX: Duration = Duration::from_secs(30);
/// How long the others believe an old total while one counts.
const RECOUNT: Duration = Duration::from_secs(5);
/// Lists whose totals are remembered.
const LISTS_MAX: usize = 4_096;

type Question = (String, Vec<Value>);

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<HashMap<Question, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    total: i64,
    until: Instant,
}

impl Totals {
    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A total that is still believed. Of those who ask after that, the first is to count again.
    fn believed(&self, question: &Question, now: Instant) -> Option<i64> {
        let mut all = self.lock();
        let known = all.get_mut(question)?;
        if now < known.until {
            return Some(known.total);
        }
        known.until = now + RECOUNT;
        None
    }

    fn remember(&self, question: Question, total: i64, took: Duration, now: Instant) {
        let mut all = self.lock();
        if all.len() >= LISTS_MAX {
            all.retain(|_, known| now < known.until);
        }
        if all.len() < LISTS_MAX {
            let believed = (took * BELIEVED_FACTOR).clamp(BELIEVED_MIN, BELIEVED_MAX);
            all.insert(question, Known { total, until: now + believed });
        }
    }

    fn forget(&self, question: &Question) {
        self.lock().remove(question);
    }
}

impl Store {
    /// How many rows a list has: exactly below [`SURE`], at most [`TOTAL_MAX`], and a little late in between.
    pub(crate) async fn total(&self, rows: Select) -> Result<i64, Error> {
        let question = (rows.text, rows.args);
        let begun = Instant::now();
        if let Some(total) = self.totals.believed(&question, begun) {
            return Ok(total);
        }
        let rows = |question: &Question| Select { text: question.0.clone(), args: question.1.clone() };
        let few = self.count(rows(&question), SURE).await?;
        if few < SURE {
            self.totals.forget(&question);
            return Ok(few);
        }
        let total = self.count(rows(&question), TOTAL_MAX).await?;
        let now = Instant::now();
        self.totals.remember(question, total, now - begun, now);
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_believed_for_a_while_and_then_counted_by_one() {
        let (totals, now) = (Totals::default(), Instant::now());
        let question = || ("SELECT 1".to_owned(), vec![Value::Int(1)]);
        assert_eq!(totals.believed(&question(), now), None);

        totals.remember(question(), 5_000, Duration::from_millis(1), now);

        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN / 2), Some(5_000));
        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN), None, "the first counts");
        assert_eq!(totals.believed(&question(), now + BELIEVED_MIN), Some(5_000), "the others believe");
        totals.forget(&question());
        assert_eq!(totals.believed(&question(), now), None);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (totals, now) = (Totals::default(), Instant::now());
        for n in 0..LISTS_MAX as i64 + 10 {
            totals.remember((String::new(), vec![n.into()]), n, Duration::ZERO, now);
        }
        assert_eq!(totals.lock().len(), LISTS_MAX);
        let later = now + BELIEVED_MAX;
        totals.remember(("new".to_owned(), Vec::new()), 1, Duration::ZERO, later);
        assert_eq!(totals.lock().len(), 1);
    }
}
