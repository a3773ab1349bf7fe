//! Slots, queue and expected waiting times. Without clock, locks and async code, so that a sequence of calls determines
//! the result and tests can state it exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::fair_queue::{FairQueue, PriorityClass, QueueEntry, Tenant};
use crate::error::{Error, ErrorKind, Result};

/// Weight of the latest request in the exponentially weighted moving average of durations.
const EWMA_WEIGHT: f64 = 0.2;

/// Lower bound of the retry time in a `Busy` error.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Slots of a model and the queue in front of them.
#[derive(Debug)]
pub(super) struct AdmissionQueue {
    slots: usize,
    /// Slots of one user at a time. All but one, where there are several: others then never wait for this user's answers to
    /// end. The embedder itself is no user.
    slots_per_user: usize,
    capacity: usize,
    /// Tenant of each running request, and time at which it got its slot.
    running: BTreeMap<QueueEntry, (Tenant, DateTime<Utc>)>,
    queue: FairQueue,
    /// Moving average of the time that a request occupies its slot; `None` before the first has ended.
    average: Option<Duration>,
    last: u64,
}

/// Requests that a model answers, and those that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLoad {
    /// Maximum number of concurrent answers.
    pub slots: usize,
    /// Number of requests that have a slot.
    pub running: usize,
    /// Number of requests in the queue.
    pub waiting: usize,
}

/// Result of entering the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// The request has a slot.
    Granted(QueueEntry),
    /// The request is queued.
    Waiting(QueueEntry),
}

impl AdmissionQueue {
    /// Creates a queue of at most `capacity` requests in front of `slots` slots.
    pub(super) fn new(slots: usize, capacity: usize) -> Self {
        let (running, queue) = (BTreeMap::new(), FairQueue::default());
        let slots = slots.max(1);
        let slots_per_user = slots.saturating_sub(1).max(1);
        Self { slots, slots_per_user, capacity, running, queue, average: None, last: 0 }
    }

    /// Returns how many requests have a slot and how many wait.
    pub(super) fn load(&self) -> ModelLoad {
        ModelLoad { slots: self.slots, running: self.running.len(), waiting: self.queue.len() }
    }

    /// Admits a request that must be answered within `timeout`.
    ///
    /// # Errors
    /// `Busy` with a retry time if the queue is full, or if the answer is expected after the timeout.
    pub(super) fn enter(
        &mut self,
        tenant: Tenant,
        class: PriorityClass,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Entry> {
        self.last += 1;
        let entry = QueueEntry(self.last);
        // Free slots are granted at once to queued requests that may have one, so none of those is overtaken.
        if self.running.len() < self.slots && self.may_run(tenant) {
            self.running.insert(entry, (tenant, now));
            return Ok(Entry::Granted(entry));
        }
        let average = self.average.unwrap_or_default();
        let mut queue = self.queue.clone();
        queue.push(tenant, class, entry);
        let wait = self.wait_for(queue.clone(), entry, now);
        if self.queue.len() >= self.capacity {
            let message = format!("{} requests wait for the model already", self.queue.len());
            return Err(busy(message, self.remaining(now).into_iter().min().unwrap_or_default()));
        }
        if wait + average > timeout {
            let message = format!(
                "the model is in use: an answer is expected in {} s, and the time limit is {} s",
                (wait + average).as_secs(),
                timeout.as_secs()
            );
            return Err(busy(message, wait + average - timeout));
        }
        self.queue = queue;
        Ok(Entry::Waiting(entry))
    }

    /// Removes a request that has ended or no longer waits; returns those that get a slot now.
    pub(super) fn leave(&mut self, entry: QueueEntry, now: DateTime<Utc>) -> Vec<QueueEntry> {
        match self.running.remove(&entry) {
            Some((_, since)) => self.update_average((now - since).to_std().unwrap_or_default()),
            None => {
                self.queue.remove(entry);
            }
        }
        let mut granted = Vec::new();
        while self.running.len() < self.slots {
            let (running, most) = (&self.running, self.slots_per_user);
            let next = self.queue.pop(|tenant| below(most, tenant, running.values().map(|(of, _)| *of)));
            let Some((tenant, next)) = next else { break };
            self.running.insert(next, (tenant, now));
            granted.push(next);
        }
        granted
    }

    /// Returns whether this user may occupy one more slot.
    fn may_run(&self, tenant: Tenant) -> bool {
        below(self.slots_per_user, tenant, self.running.values().map(|(of, _)| *of))
    }

    fn update_average(&mut self, took: Duration) {
        self.average = Some(match self.average {
            None => took,
            Some(average) => average.mul_f64(1.0 - EWMA_WEIGHT) + took.mul_f64(EWMA_WEIGHT),
        });
    }

    /// Expected time until this request gets a slot if each takes the average time. Simulates the order in which the
    /// queue is served: a formula over the length of the queue would ignore priorities and fairness.
    fn wait_for(&self, mut queue: FairQueue, entry: QueueEntry, now: DateTime<Utc>) -> Duration {
        let average = self.average.unwrap_or_default();
        // When each slot is free, and whose it is until then.
        let running = self.running.values().map(|(tenant, _)| *tenant);
        let mut slots: Vec<(Duration, Tenant)> = self.remaining(now).into_iter().zip(running).collect();
        slots.resize(self.slots.max(slots.len()), (Duration::ZERO, None));
        let mut time = Duration::ZERO;
        loop {
            if let Some(free) = slots.iter().position(|(until, _)| *until <= time) {
                let busy = || slots.iter().filter(|(until, _)| *until > time).map(|(_, of)| *of);
                let next = queue.pop(|tenant| below(self.slots_per_user, tenant, busy()));
                match next {
                    Some((_, next)) if next == entry => return time,
                    Some((tenant, _)) => {
                        slots[free] = (time.saturating_add(average), tenant);
                        continue;
                    }
                    None => {}
                }
            }
            match slots.iter().map(|(until, _)| *until).filter(|until| *until > time).min() {
                Some(next) => time = next,
                None => return time,
            }
        }
    }

    /// Expected remaining time of each running request.
    fn remaining(&self, now: DateTime<Utc>) -> Vec<Duration> {
        let average = self.average.unwrap_or_default();
        let elapsed = |since: &DateTime<Utc>| (now - since).to_std().unwrap_or_default();
        self.running.values().map(|(_, since)| average.saturating_sub(elapsed(since))).collect()
    }
}

/// Returns whether a user has fewer than `most` of these slots. The embedder itself has no limit.
fn below(most: usize, tenant: Tenant, slots: impl Iterator<Item = Tenant>) -> bool {
    tenant.is_none() || slots.filter(|of| *of == tenant).count() < most
}

fn busy(message: String, after: Duration) -> Error {
    Error::new(ErrorKind::Busy, message).with_retry_after(after.max(MIN_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::domain::UserId;

    const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(seconds, 0).unwrap()
    }

    fn enter(queue: &mut AdmissionQueue, timeout: Duration, now: i64) -> Result<Entry> {
        queue.enter(None, PriorityClass::Interactive, timeout, at(now))
    }

    fn granted(entry: Result<Entry>) -> QueueEntry {
        match entry.unwrap() {
            Entry::Granted(entry) => entry,
            Entry::Waiting(entry) => panic!("{entry:?} waits"),
        }
    }

    fn waiting(entry: Result<Entry>) -> QueueEntry {
        match entry.unwrap() {
            Entry::Waiting(entry) => entry,
            Entry::Granted(entry) => panic!("{entry:?} has a slot"),
        }
    }

    /// Creates a queue with one slot and an average of ten seconds.
    fn queue_with_average(capacity: usize) -> (AdmissionQueue, QueueEntry) {
        let mut queue = AdmissionQueue::new(1, capacity);
        let first = granted(enter(&mut queue, REQUEST_TIMEOUT, 0));
        assert!(queue.leave(first, at(10)).is_empty());
        let running = granted(enter(&mut queue, REQUEST_TIMEOUT, 10));
        (queue, running)
    }

    #[test]
    fn freed_slots_go_to_queued_requests() {
        let mut queue = AdmissionQueue::new(2, 8);
        let [one, two] = [0, 0].map(|now| granted(enter(&mut queue, REQUEST_TIMEOUT, now)));
        let [three, four] = [0, 0].map(|now| waiting(enter(&mut queue, REQUEST_TIMEOUT, now)));
        assert_eq!(queue.leave(two, at(1)), [three]);
        assert_eq!(queue.leave(one, at(1)), [four]);
        assert!(queue.leave(three, at(2)).is_empty());
        assert!(queue.leave(three, at(2)).is_empty(), "who has left cannot free a second slot");
        granted(enter(&mut queue, REQUEST_TIMEOUT, 2));
        waiting(enter(&mut queue, REQUEST_TIMEOUT, 2));
    }

    #[test]
    fn one_user_has_all_slots_but_one() {
        let mut queue = AdmissionQueue::new(3, 8);
        let [greedy, modest] = [0; 2].map(|_| Some(UserId::new()));
        let come =
            |queue: &mut AdmissionQueue, tenant, class| queue.enter(tenant, class, REQUEST_TIMEOUT, at(0));
        let first = granted(come(&mut queue, greedy, PriorityClass::Interactive));
        granted(come(&mut queue, greedy, PriorityClass::Background));
        let third = waiting(come(&mut queue, greedy, PriorityClass::Interactive));
        let other = granted(come(&mut queue, modest, PriorityClass::Background));
        let next = waiting(come(&mut queue, modest, PriorityClass::Background));
        assert_eq!(queue.leave(other, at(1)), [next], "who came first has two slots");
        assert_eq!(queue.leave(first, at(1)), [third]);
        // With one slot there is none to be kept free, and the embedder itself is no user.
        granted(AdmissionQueue::new(1, 8).enter(greedy, PriorityClass::Interactive, REQUEST_TIMEOUT, at(0)));
        let mut queue = AdmissionQueue::new(3, 8);
        for _ in 0..3 {
            granted(come(&mut queue, None, PriorityClass::Interactive));
        }
    }

    #[test]
    fn wait_for_a_users_own_answers_counts() {
        let mut queue = AdmissionQueue::new(2, 8);
        let greedy = Some(UserId::new());
        let first = granted(queue.enter(greedy, PriorityClass::Interactive, REQUEST_TIMEOUT, at(0)));
        queue.leave(first, at(10));
        granted(queue.enter(greedy, PriorityClass::Interactive, REQUEST_TIMEOUT, at(10)));
        // The other slot is free, but not for this user: ten seconds until the own one is, ten for the answer.
        let limit = Duration::from_secs(19);
        let e = queue.enter(greedy, PriorityClass::Interactive, limit, at(10)).unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(Duration::from_secs(1))));
        granted(queue.enter(Some(UserId::new()), PriorityClass::Interactive, limit, at(10)));
    }

    #[test]
    fn cancelled_request_gets_no_slot() {
        let (mut queue, running) = queue_with_average(8);
        let gone = waiting(enter(&mut queue, REQUEST_TIMEOUT, 10));
        let next = waiting(enter(&mut queue, REQUEST_TIMEOUT, 10));
        assert!(queue.leave(gone, at(11)).is_empty());
        assert_eq!(queue.leave(running, at(20)), [next]);
    }

    #[test]
    fn full_queue_is_busy_until_a_slot_is_free() {
        let (mut queue, running) = queue_with_average(1);
        let next = waiting(enter(&mut queue, REQUEST_TIMEOUT, 10));
        let e = enter(&mut queue, REQUEST_TIMEOUT, 14).unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(Duration::from_secs(6))));
        let e = enter(&mut queue, REQUEST_TIMEOUT, 60).unwrap_err();
        assert_eq!(e.retry_after(), Some(MIN_RETRY_AFTER), "it takes longer than usual");
        assert_eq!(queue.leave(running, at(60)), [next]);
        waiting(enter(&mut queue, REQUEST_TIMEOUT, 60));
    }

    #[test]
    fn late_answer_is_refused_at_once() {
        let (mut queue, _) = queue_with_average(8);
        // 10 s until the slot is free, and 10 s for the answer.
        let e = enter(&mut queue, Duration::from_secs(15), 10).unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(Duration::from_secs(5))));
        waiting(enter(&mut queue, Duration::from_secs(15), 15));
        let e = enter(&mut queue, Duration::from_secs(15), 15).unwrap_err();
        assert_eq!(e.retry_after(), Some(Duration::from_secs(10)), "one more is in front now");
        waiting(enter(&mut queue, Duration::from_secs(25), 15));
    }

    #[test]
    fn expected_wait_depends_on_the_position_in_the_queue() {
        let (mut queue, _) = queue_with_average(8);
        let [tasks, person] = [0; 2].map(|_| Some(UserId::new()));
        for _ in 0..4 {
            let entry = queue.enter(tasks, PriorityClass::Background, REQUEST_TIMEOUT, at(10));
            waiting(entry);
        }
        let limit = Duration::from_secs(20);
        assert_eq!(
            queue.enter(tasks, PriorityClass::Background, limit, at(10)).unwrap_err().kind(),
            ErrorKind::Busy
        );
        waiting(queue.enter(person, PriorityClass::Interactive, limit, at(10)));
    }

    #[test]
    fn request_is_admitted_with_a_free_slot_or_without_an_average() {
        let mut queue = AdmissionQueue::new(1, 8);
        let short = Duration::from_secs(1);
        let slow = granted(enter(&mut queue, short, 0));
        waiting(enter(&mut queue, short, 0));
        let next = queue.leave(slow, at(100))[0];
        queue.leave(next, at(200));
        // The average is 100 s, but with a free slot the request may be a short one.
        granted(enter(&mut queue, short, 200));
        enter(&mut queue, short, 200).unwrap_err();
    }

    #[test]
    fn average_follows_recent_durations() {
        let (mut queue, running) = queue_with_average(8);
        queue.leave(running, at(10));
        for _ in 0..20 {
            let entry = granted(enter(&mut queue, REQUEST_TIMEOUT, 10));
            queue.leave(entry, at(11));
        }
        granted(enter(&mut queue, REQUEST_TIMEOUT, 20));
        waiting(enter(&mut queue, Duration::from_secs(3), 20));
    }
}
