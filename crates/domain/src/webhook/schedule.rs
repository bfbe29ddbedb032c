//! How patient we are: what an answer means for a delivery, and when the next attempt is due.
//!
//! Invariant: total; every answer has exactly one verdict, and the pauses are the schedule's, give or take a tenth.
//! Not here: counting the failures of a webhook over all its deliveries.

use crate::ambient::{Chance, Millis};

/// The longest pause a receiver can ask for.
pub const RETRY_AFTER_MS_MAX: i64 = 3_600_000;
/// The answer of a receiver that wants no more.
const GONE: u16 = 410;
/// Pauses of a schedule.
const PAUSES_MAX: usize = 100;

/// The pauses after the first, second, … failed attempt, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<u64>);

/// A schedule nobody can follow.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("a schedule has at most {PAUSES_MAX} pauses")]
pub struct BadSchedule;

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Delivered,
    /// It was not; try again at this time.
    Again(Millis),
    /// It was not, and there are no more attempts.
    GivenUp,
    /// The receiver wants nothing any more.
    Gone,
}

impl Default for Schedule {
    fn default() -> Self {
        Self(vec![60_000, 300_000, 1_800_000, 3_600_000])
    }
}

impl Schedule {
    /// A schedule of these pauses.
    pub fn of(pauses_ms: Vec<u64>) -> Result<Self, BadSchedule> {
        if pauses_ms.len() > PAUSES_MAX { Err(BadSchedule) } else { Ok(Self(pauses_ms)) }
    }

    /// What follows the `tries`-th attempt (from 1) that ended at `now` with this status; `None` is no answer at all.
    /// `retry_after` is how long the receiver asks us to wait.
    pub fn judge(
        &self,
        status: Option<u16>,
        tries: u32,
        retry_after: Option<Millis>,
        now: Millis,
        chance: &dyn Chance,
    ) -> Verdict {
        match status {
            Some(200..=299) => return Verdict::Delivered,
            Some(GONE) => return Verdict::Gone,
            _ => {}
        }
        let Some(pause) = self.0.get(tries.saturating_sub(1) as usize) else { return Verdict::GivenUp };
        let asked = retry_after.unwrap_or(0).clamp(0, RETRY_AFTER_MS_MAX);
        Verdict::Again(now.saturating_add(jittered(*pause, chance).max(asked)))
    }
}

/// A pause, give or take a tenth: those who failed together do not come back together.
fn jittered(pause_ms: u64, chance: &dyn Chance) -> Millis {
    let mut bytes = [0; 2];
    chance.fill(&mut bytes);
    let share = u128::from(u16::from_be_bytes(bytes));
    let pause = u128::from(pause_ms);
    let jittered = pause * 9 / 10 + pause * 2 * share / (10 * u128::from(u16::MAX));
    Millis::try_from(jittered).unwrap_or(Millis::MAX)
}

/// Reads `Retry-After`: seconds, or a date.
pub fn retry_after(header: &str, now: Millis) -> Option<Millis> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(header.parse::<Millis>().unwrap_or(Millis::MAX / 1_000).saturating_mul(1_000));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((at.as_millis() as Millis - now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Fixed(u8);
    impl Chance for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn pause(tries: u32, retry_after: Option<Millis>, chance: u8) -> Verdict {
        Schedule::default().judge(Some(500), tries, retry_after, 0, &Fixed(chance))
    }

    #[test]
    fn the_documented_pauses_follow_the_first_four_failures() {
        for (tries, low, high) in
            [(1, 54_000, 66_000), (2, 270_000, 330_000), (3, 1_620_000, 1_980_000), (4, 3_240_000, 3_960_000)]
        {
            assert_eq!(
                (pause(tries, None, 0), pause(tries, None, 255)),
                (Verdict::Again(low), Verdict::Again(high))
            );
        }
        assert_eq!(pause(5, None, 0), Verdict::GivenUp);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_up_to_an_hour() {
        assert_eq!(pause(1, Some(120_000), 0), Verdict::Again(120_000));
        assert_eq!(pause(1, Some(1_000), 0), Verdict::Again(54_000));
        assert_eq!(pause(1, Some(Millis::MAX), 0), Verdict::Again(RETRY_AFTER_MS_MAX));
        assert_eq!(pause(5, Some(1_000), 0), Verdict::GivenUp);
    }

    #[test]
    fn only_2xx_is_success_and_410_is_for_good() {
        let judge = |status| Schedule::default().judge(status, 1, None, 0, &Fixed(0));
        for status in [200, 204, 299] {
            assert_eq!(judge(Some(status)), Verdict::Delivered);
        }
        for status in [None, Some(199), Some(301), Some(404), Some(500)] {
            assert_eq!(judge(status), Verdict::Again(54_000), "{status:?}");
        }
        assert_eq!(judge(Some(410)), Verdict::Gone);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777_000;
        assert_eq!(retry_after("120", now), Some(120_000));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(60_000));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0));
        for header in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(header, now), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_pause_is_never_off_by_more_than_a_tenth(ms in 0_u64..1 << 40, chance: u8) {
            let schedule = Schedule::of(vec![ms]).unwrap();
            let Verdict::Again(at) = schedule.judge(None, 1, None, 0, &Fixed(chance)) else { panic!("again") };
            prop_assert!((ms * 9 / 10) as i64 <= at && at <= (ms * 11 / 10) as i64 + 1);
        }
    }
}
