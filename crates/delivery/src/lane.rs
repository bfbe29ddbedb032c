//! One webhook's queue, and how many of its deliveries may be under way.
//!
//! Invariant: a lane takes no more than its window, which grows while its receiver keeps up and shrinks to one when
//! it does not; what does not fit into memory stays on disk and is read when there is room.
//! Not here: sending, the store. A lane decides, the dispatcher acts.

use crate::job::Job;
use openevent_domain::ambient::Millis;
use openevent_domain::webhook::DeliveryId;
use std::collections::{HashSet, VecDeque};

/// Deliveries of one webhook that wait in memory.
const QUEUE_MAX: usize = 512;
/// Bytes of them.
const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Fewer waiting than this, and what is on disk is read.
const QUEUE_LOW: usize = 128;
/// Deliveries under way to a receiver nobody knows yet.
const WINDOW_FIRST: usize = 4;

/// What a lane may make up for when it was kept waiting, in microseconds: clocks and timers go by milliseconds.
const CATCH_UP_US: i64 = 100_000;

/// The limits an owner set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Attempts under way at one time.
    at_once: usize,
    /// From the beginning of one attempt to that of the next, in microseconds.
    every_us: Option<i64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once: usize::MAX, every_us: None }
    }
}

impl Pace {
    /// So many under way at one time, and so many begun in a second.
    pub(crate) fn of(at_once: Option<usize>, per_second: Option<u32>) -> Self {
        let every_us = per_second.map(|rate| 1_000_000 / i64::from(rate));
        Self { at_once: at_once.unwrap_or(usize::MAX), every_us }
    }

    /// The part of one of so many nodes: one attempt at a time at least.
    #[must_use]
    pub(crate) fn among(self, nodes: u32) -> Self {
        let nodes = nodes.max(1);
        let every_us = self.every_us.map(|every_us| every_us * i64::from(nodes));
        Self { at_once: (self.at_once / nodes as usize).max(1), every_us }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: VecDeque<Job>,
    queued_bytes: usize,
    /// Every delivery in memory: waiting, under way, or not yet written down.
    known: HashSet<DeliveryId>,
    /// Under way.
    pub(crate) under_way: usize,
    window: usize,
    window_max: usize,
    /// Whether this node has deliveries in hand that are on disk only.
    spilled: bool,
    /// While the disk is read: what left memory meanwhile, and may still be among what is read.
    reading: Option<HashSet<DeliveryId>>,
    /// When the first delivery is due that nobody has in hand.
    pub(crate) due_at: Option<Millis>,
    /// What its owner allows.
    pace: Pace,
    /// When the next attempt may begin, in microseconds.
    free_at_us: i64,
    /// Whether it stands in the dispatcher's line.
    pub(crate) is_in_line: bool,
}

impl Lane {
    pub(crate) fn new(window_max: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            known: HashSet::new(),
            under_way: 0,
            window: WINDOW_FIRST.min(window_max).max(1),
            window_max: window_max.max(1),
            spilled: false,
            reading: None,
            due_at: None,
            pace: Pace::default(),
            free_at_us: 0,
            is_in_line: false,
        }
    }

    /// Takes a delivery in, unless it is here already or does not fit.
    pub(crate) fn push(&mut self, job: Job) {
        if self.known.contains(&job.id) {
            return;
        }
        if self.queue.len() >= QUEUE_MAX || self.queued_bytes >= QUEUE_BYTES_MAX {
            self.spilled = true;
            return;
        }
        self.enqueue(job);
    }

    fn enqueue(&mut self, job: Job) {
        self.known.insert(job.id.clone());
        self.queued_bytes += job.bytes();
        self.queue.push_back(job);
    }

    /// Goes by its owner's limits from now on.
    pub(crate) fn keep_to(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Whether the next delivery may go out, as far as it is not too early.
    pub(crate) fn can_start(&self) -> bool {
        !self.queue.is_empty() && self.under_way < self.window.min(self.pace.at_once)
    }

    /// When the next delivery may go out, if that is later than now.
    pub(crate) fn too_early(&self, now: Millis) -> Option<Millis> {
        let free_at = self.free_at_us.div_euclid(1_000) + 1;
        (self.pace.every_us.is_some() && self.free_at_us > now * 1_000).then_some(free_at)
    }

    /// The next delivery, which is under way from now on.
    pub(crate) fn start(&mut self, now: Millis) -> Option<Job> {
        let job = self.can_start().then(|| self.queue.pop_front()).flatten()?;
        self.queued_bytes -= job.bytes();
        self.under_way += 1;
        if let Some(every_us) = self.pace.every_us {
            let earliest = now * 1_000 - CATCH_UP_US;
            self.free_at_us = self.free_at_us.max(earliest) + every_us;
        }
        Some(job)
    }

    /// An attempt has ended; the delivery stays known until that is written down.
    pub(crate) fn ended(&mut self, is_good: bool) {
        self.under_way -= 1;
        self.window = if is_good { (self.window + 1).min(self.window_max) } else { (self.window / 2).max(1) };
    }

    /// What became of a delivery is on disk.
    pub(crate) fn recorded(&mut self, id: &DeliveryId) {
        if self.known.remove(id)
            && let Some(meanwhile) = &mut self.reading
        {
            meanwhile.insert(id.clone());
        }
    }

    /// Deliveries are on disk that this node has in hand and does not know.
    pub(crate) fn spill(&mut self) {
        self.spilled = true;
    }

    /// Since when its next delivery is owed.
    pub(crate) fn waiting_since(&self) -> Option<Millis> {
        self.queue.front()?.owed_since()
    }

    /// Whether it knows of nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.known.is_empty()
    }

    /// Keeps of what waits only what may go out all the same. The rest is on disk, and is read again should it be in
    /// hand still when there is something to send. Answers whether something was let go of.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Job) -> bool) -> bool {
        let before = self.queue.len();
        let (known, bytes) = (&mut self.known, &mut self.queued_bytes);
        self.queue.retain(|job| {
            let stays = keep(job);
            if !stays {
                known.remove(&job.id);
                *bytes -= job.bytes();
            }
            stays
        });
        let has_let_go = self.queue.len() < before;
        self.spilled |= has_let_go;
        has_let_go
    }

    /// Whether the disk should be read now; if so, how many rows of what is in hand.
    pub(crate) fn wants_to_read(&self, now: Millis) -> Option<i64> {
        let is_due = self.spilled || self.due_at.is_some_and(|due_at| due_at <= now);
        let has_room = self.queue.len() < QUEUE_LOW && self.queued_bytes < QUEUE_BYTES_MAX / 2;
        (is_due && has_room && self.reading.is_none()).then(|| (self.known.len() + QUEUE_MAX) as i64)
    }

    /// The disk is being read.
    pub(crate) fn begin_reading(&mut self) {
        self.reading = Some(HashSet::new());
        self.spilled = false;
        self.due_at = None;
    }

    /// What the disk gave; `None` when it could not be read.
    pub(crate) fn read(&mut self, found: Option<Vec<Job>>, limit: i64) {
        let meanwhile = self.reading.take().unwrap_or_default();
        let Some(found) = found else {
            self.spilled = true;
            return;
        };
        self.spilled |= found.len() as i64 >= limit;
        for job in found {
            if self.known.contains(&job.id) || meanwhile.contains(&job.id) {
                continue;
            }
            if self.queued_bytes >= QUEUE_BYTES_MAX {
                self.spilled = true;
                return;
            }
            self.enqueue(job);
        }
    }

    /// How many deliveries are in memory.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::owed;
    use openevent_store::deliveries::OwedBody;

    fn job(n: usize) -> Job {
        job_of(n, "{}".into())
    }

    fn job_of(n: usize, payload: String) -> Job {
        Job::stored(owed(n, OwedBody::Signal(0, payload)))
    }

    #[test]
    fn a_receiver_that_keeps_up_gets_more_at_once_and_one_that_fails_gets_one() {
        let mut lane = Lane::new(8);
        (0..40).for_each(|n| lane.push(job(n)));
        let burst = |lane: &mut Lane| std::iter::from_fn(|| lane.start(0)).count();

        let first = burst(&mut lane);
        (0..first).for_each(|_| lane.ended(true));
        let second = burst(&mut lane);
        (0..second).for_each(|_| lane.ended(false));
        let third = burst(&mut lane);

        assert_eq!((first, second, third), (4, 8, 1));
    }

    #[test]
    fn an_owner_may_limit_how_many_are_under_way() {
        let mut lane = Lane::new(8);
        lane.keep_to(Pace::of(Some(2), None));
        (0..9).for_each(|n| lane.push(job(n)));
        let burst = |lane: &mut Lane| std::iter::from_fn(|| lane.start(0)).count();

        let first = burst(&mut lane);
        (0..first).for_each(|_| lane.ended(true));

        assert_eq!((first, burst(&mut lane)), (2, 2));
    }

    #[test]
    fn an_owner_may_limit_how_many_begin_in_a_second() {
        for per_second in [1, 3, 70, 700] {
            let mut lane = Lane::new(usize::MAX);
            lane.keep_to(Pace::of(None, Some(per_second)));
            let (begin, mut n, mut started) = (1_000_000, 0, Vec::new());
            for now in begin..begin + 3_000 {
                while lane.too_early(now).is_none() {
                    lane.push(job(n));
                    let sent = lane.start(now).expect("there is room");
                    lane.ended(true);
                    lane.recorded(&sent.id);
                    n += 1;
                    started.push(now);
                }
            }
            let (limit, burst) = (per_second as usize, per_second as usize / 10 + 1);
            // So many later, more than a second has passed.
            let is_kept = started.windows(limit + burst + 1).all(|few| few[limit + burst] - few[0] >= 1_000);
            assert!(is_kept && started.len() >= 3 * limit, "{per_second} a second");
        }
    }

    #[test]
    fn nodes_divide_the_limits_among_them() {
        let pace = Pace::of(Some(7), Some(10));
        let part = |nodes| (pace.among(nodes).at_once, pace.among(nodes).every_us);

        assert_eq!([part(1), part(3)], [(7, Some(100_000)), (2, Some(300_000))]);
        assert_eq!(part(20), (1, Some(2_000_000)), "one at a time is the least");
        let free = Pace::default().among(3);
        assert!(free.every_us.is_none() && free.at_once > 1_000_000);
    }

    #[test]
    fn what_does_not_fit_is_read_from_the_disk_when_there_is_room() {
        let mut lane = Lane::new(1_000);
        (0..=QUEUE_MAX).for_each(|n| lane.push(job(n)));
        assert_eq!((lane.len(), lane.wants_to_read(0)), (QUEUE_MAX, None));

        lane.retain(|_| false);
        let limit = lane.wants_to_read(0).expect("there is room");
        lane.begin_reading();
        assert_eq!(lane.wants_to_read(0), None, "it is being read");
        lane.read(Some(vec![job(0), job(1)]), limit);

        assert_eq!((lane.len(), lane.wants_to_read(0)), (2, None));
    }

    #[test]
    fn what_the_disk_gives_is_taken_in_as_far_as_there_is_room_for_its_bytes() {
        let mut lane = Lane::new(1);
        let big = |n| job_of(n, "x".repeat(QUEUE_BYTES_MAX / 4));
        lane.begin_reading();

        lane.read(Some((0..6).map(big).collect()), 100);
        let held = lane.len();
        while lane.start(0).is_some() {
            lane.ended(true);
        }

        assert_eq!(held, 4);
        assert!(lane.wants_to_read(0).is_some(), "the rest is read when there is room");
    }

    #[test]
    fn what_was_written_down_while_the_disk_was_read_is_not_sent_again() {
        let mut lane = Lane::new(8);
        lane.push(job(1));
        lane.spill();
        lane.begin_reading();
        let sent = lane.start(0).expect("it goes out");
        lane.ended(true);
        lane.recorded(&sent.id);

        lane.read(Some(vec![job(1), job(2)]), 100);

        assert_eq!(lane.start(0).map(|job| job.id.as_str().to_owned()), Some("wh_1_2".to_owned()));
        assert!(lane.start(0).is_none());
    }

    #[test]
    fn a_delivery_is_known_until_its_end_is_on_disk() {
        let mut lane = Lane::new(8);
        lane.push(job(1));
        let sent = lane.start(0).expect("it goes out");
        lane.ended(true);
        lane.push(job(1));
        assert!(!lane.can_start());

        lane.recorded(&sent.id);
        lane.push(job(1));

        assert!(lane.can_start());
    }

    #[test]
    fn what_is_pushed_while_the_queue_is_full_and_read_is_looked_for_again() {
        let mut lane = Lane::new(8);
        lane.spill();
        lane.begin_reading();
        (0..=QUEUE_MAX).for_each(|n| lane.push(job(n)));

        lane.read(Some(Vec::new()), 10_000);
        while lane.start(0).is_some() {
            lane.ended(true);
        }

        assert!(lane.wants_to_read(0).is_some());
    }
}
