//! Who runs, who waits, and how long waiting will take. No clock, no lock, no task: what happens is a matter of what is
//! called in which order, so that tests can say exactly what must come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::gate::Urgency;
use super::line::{Line, Share, Ticket};
use crate::error::{Error, ErrorKind, Result};

/// How much the latest request counts in the running average of how long requests take.
const WEIGHT: f64 = 0.2;

/// Nobody is told to come back sooner than this.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The slots of a model and the line in front of them.
#[derive(Debug)]
pub(super) struct GateQueue {
    slots: usize,
    capacity: usize,
    /// Since when each has its slot.
    running: BTreeMap<Ticket, DateTime<Utc>>,
    line: Line,
    /// How long requests hold their slot; not known before the first has ended.
    average: Option<Duration>,
    last: u64,
}

/// What became of a request at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It has a slot.
    Granted(Ticket),
    /// It stands in line.
    Waiting(Ticket),
}

impl GateQueue {
    /// With so many slots, in front of which so many requests may wait.
    pub(super) fn new(slots: usize, capacity: usize) -> Self {
        let (running, line) = (BTreeMap::new(), Line::default());
        Self { slots: slots.max(1), capacity, running, line, average: None, last: 0 }
    }

    /// Lets a request in that has to be answered within `timeout`.
    ///
    /// # Errors
    /// `Busy` with the time after which it may be worth another try: the line is full, or the answer would come too
    /// late.
    pub(super) fn enter(
        &mut self,
        share: Share,
        urgency: Urgency,
        timeout: Duration,
        now: DateTime<Utc>,
    ) -> Result<Entry> {
        self.last += 1;
        let ticket = Ticket(self.last);
        if self.running.len() < self.slots {
            // Whoever waits got every free slot when it became free: there is no line now.
            self.running.insert(ticket, now);
            return Ok(Entry::Granted(ticket));
        }
        let average = self.average.unwrap_or_default();
        let mut line = self.line.clone();
        line.push(share, urgency, ticket);
        let wait = self.wait_for(line.clone(), ticket, now);
        if self.line.len() >= self.capacity {
            let message = format!("{} requests wait for the model already", self.line.len());
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
        self.line = line;
        Ok(Entry::Waiting(ticket))
    }

    /// A request has ended, or its caller waits no more. Gives those who get a slot now.
    pub(super) fn leave(&mut self, ticket: Ticket, now: DateTime<Utc>) -> Vec<Ticket> {
        match self.running.remove(&ticket) {
            Some(since) => self.learn((now - since).to_std().unwrap_or_default()),
            None => {
                self.line.remove(ticket);
            }
        }
        let mut granted = Vec::new();
        while self.running.len() < self.slots
            && let Some(next) = self.line.pop()
        {
            self.running.insert(next, now);
            granted.push(next);
        }
        granted
    }

    fn learn(&mut self, took: Duration) {
        self.average = Some(match self.average {
            None => took,
            Some(average) => average.mul_f64(1.0 - WEIGHT) + took.mul_f64(WEIGHT),
        });
    }

    /// How long until this one gets a slot, when each takes as long as the average: played through in the order in which
    /// the line will be served.
    fn wait_for(&self, mut line: Line, ticket: Ticket, now: DateTime<Utc>) -> Duration {
        let mut free_in = self.remaining(now);
        while let (Some(next), Some(first)) = (line.pop(), free_in.iter_mut().min()) {
            if next == ticket {
                return *first;
            }
            *first += self.average.unwrap_or_default();
        }
        Duration::ZERO
    }

    /// How long each running request will go on, as far as the average tells.
    fn remaining(&self, now: DateTime<Utc>) -> Vec<Duration> {
        let average = self.average.unwrap_or_default();
        let elapsed = |since: &DateTime<Utc>| (now - since).to_std().unwrap_or_default();
        self.running.values().map(|since| average.saturating_sub(elapsed(since))).collect()
    }
}

fn busy(message: String, after: Duration) -> Error {
    Error::new(ErrorKind::Busy, message).with_retry_after(after.max(SHORTEST_WAIT))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::domain::UserId;

    const LONG: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(seconds, 0).unwrap()
    }

    fn enter(queue: &mut GateQueue, timeout: Duration, now: i64) -> Result<Entry> {
        queue.enter(None, Urgency::Interactive, timeout, at(now))
    }

    fn granted(entry: Result<Entry>) -> Ticket {
        match entry.unwrap() {
            Entry::Granted(ticket) => ticket,
            Entry::Waiting(ticket) => panic!("{ticket:?} waits"),
        }
    }

    fn waiting(entry: Result<Entry>) -> Ticket {
        match entry.unwrap() {
            Entry::Waiting(ticket) => ticket,
            Entry::Granted(ticket) => panic!("{ticket:?} has a slot"),
        }
    }

    /// One slot, and requests that take ten seconds.
    fn learnt(capacity: usize) -> (GateQueue, Ticket) {
        let mut queue = GateQueue::new(1, capacity);
        let first = granted(enter(&mut queue, LONG, 0));
        assert!(queue.leave(first, at(10)).is_empty());
        let running = granted(enter(&mut queue, LONG, 10));
        (queue, running)
    }

    #[test]
    fn slots_are_given_out_and_given_on() {
        let mut queue = GateQueue::new(2, 8);
        let [one, two] = [0, 0].map(|now| granted(enter(&mut queue, LONG, now)));
        let [three, four] = [0, 0].map(|now| waiting(enter(&mut queue, LONG, now)));
        assert_eq!(queue.leave(two, at(1)), [three]);
        assert_eq!(queue.leave(one, at(1)), [four]);
        assert!(queue.leave(three, at(2)).is_empty());
        assert!(queue.leave(three, at(2)).is_empty(), "who has left cannot free a second slot");
        granted(enter(&mut queue, LONG, 2));
        waiting(enter(&mut queue, LONG, 2));
    }

    #[test]
    fn who_waits_no_more_gets_no_slot() {
        let (mut queue, running) = learnt(8);
        let gone = waiting(enter(&mut queue, LONG, 10));
        let next = waiting(enter(&mut queue, LONG, 10));
        assert!(queue.leave(gone, at(11)).is_empty());
        assert_eq!(queue.leave(running, at(20)), [next]);
    }

    #[test]
    fn a_full_line_is_busy_until_a_slot_is_free() {
        let (mut queue, running) = learnt(1);
        let next = waiting(enter(&mut queue, LONG, 10));
        let e = enter(&mut queue, LONG, 14).unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(Duration::from_secs(6))));
        let e = enter(&mut queue, LONG, 60).unwrap_err();
        assert_eq!(e.retry_after(), Some(SHORTEST_WAIT), "it takes longer than usual");
        assert_eq!(queue.leave(running, at(60)), [next]);
        waiting(enter(&mut queue, LONG, 60));
    }

    #[test]
    fn what_would_come_too_late_is_refused_at_once() {
        let (mut queue, _) = learnt(8);
        // Ten seconds until the slot is free, ten for the answer.
        let e = enter(&mut queue, Duration::from_secs(15), 10).unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(Duration::from_secs(5))));
        waiting(enter(&mut queue, Duration::from_secs(15), 15));
        let e = enter(&mut queue, Duration::from_secs(15), 15).unwrap_err();
        assert_eq!(e.retry_after(), Some(Duration::from_secs(10)), "one more is in front now");
        waiting(enter(&mut queue, Duration::from_secs(25), 15));
    }

    #[test]
    fn the_place_in_line_counts_not_the_time_of_coming() {
        let (mut queue, _) = learnt(8);
        let [tasks, person] = [0; 2].map(|_| Some(UserId::new()));
        for _ in 0..4 {
            let entry = queue.enter(tasks, Urgency::Background, LONG, at(10));
            waiting(entry);
        }
        let limit = Duration::from_secs(20);
        assert_eq!(
            queue.enter(tasks, Urgency::Background, limit, at(10)).unwrap_err().kind(),
            ErrorKind::Busy
        );
        waiting(queue.enter(person, Urgency::Interactive, limit, at(10)));
    }

    #[test]
    fn nothing_is_refused_while_a_slot_is_free_or_nothing_is_known() {
        let mut queue = GateQueue::new(1, 8);
        let short = Duration::from_secs(1);
        let slow = granted(enter(&mut queue, short, 0));
        waiting(enter(&mut queue, short, 0));
        let next = queue.leave(slow, at(100))[0];
        queue.leave(next, at(200));
        // A hundred seconds on average: but perhaps the next is a quick one.
        granted(enter(&mut queue, short, 200));
        enter(&mut queue, short, 200).unwrap_err();
    }

    #[test]
    fn the_average_follows_what_happens() {
        let (mut queue, running) = learnt(8);
        queue.leave(running, at(10));
        for _ in 0..20 {
            let ticket = granted(enter(&mut queue, LONG, 10));
            queue.leave(ticket, at(11));
        }
        granted(enter(&mut queue, LONG, 20));
        waiting(enter(&mut queue, Duration::from_secs(3), 20));
    }
}
