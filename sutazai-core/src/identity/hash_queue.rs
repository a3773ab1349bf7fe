//! Fair queue in front of password hashing.
//!
//! A hash takes tens of milliseconds of a core, on purpose. Each address or user has a queue of its own; the queues are
//! served round-robin, and no source may use all cores. So a flood fills only its own queues, and a sign-in from
//! elsewhere waits for one round instead of being rejected. If the whole queue is full, a source without entries
//! replaces the latest entry of the source with most. A plain semaphore would serve in order of arrival, and a flood
//! would delay everybody.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::gauge;
use tokio::sync::oneshot;

use crate::domain::UserId;
use crate::error::{Error, ErrorKind, Result};

/// Maximum number of waiting entries per source: some people of one office.
const MAX_PER_SOURCE: usize = 16;
/// Maximum number of waiting entries in total; each costs a connection and a few hundred bytes.
const MAX_WAITING: usize = 2_048;
/// Suggested delay before a retry.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Name of the metric with the number of waiting entries.
const QUEUE_DEPTH: &str = "argon2_queue_depth";

/// Source whose queue an entry waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Callers who have not signed in, by address.
    Address(Option<IpAddr>),
    /// A user who is signed in.
    User(UserId),
}

/// The queue; cloning is cheap, and clones share their state.
#[derive(Debug, Clone)]
pub(super) struct HashQueue {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Maximum number of concurrent hashes of one source: with several cores, one is left to others.
    share: usize,
    running: HashMap<Source, usize>,
    waiting: HashMap<Source, VecDeque<oneshot::Sender<Permit>>>,
    /// Waiting sources in the order in which they are served.
    turns: VecDeque<Source>,
    depth: usize,
}

/// Permit to run one hash; dropping it passes it to the next source.
#[derive(Debug)]
pub(super) struct Permit {
    /// `None` once the permit has been passed on.
    queue: Option<HashQueue>,
    source: Source,
}

impl HashQueue {
    /// Creates a queue that runs one hash per core.
    pub(super) fn new() -> Self {
        Self::of(std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn of(free: usize) -> Self {
        let state = State {
            free,
            share: free.saturating_sub(1).max(1),
            running: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            depth: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// `Busy` with a retry time if too many entries of this source, or in total, are waiting.
    pub(super) async fn enter(&self, source: Source) -> Result<Permit> {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 && state.may_run(&source) {
                state.begin(source);
                return Ok(Permit { queue: Some(self.clone()), source });
            }
            let of_source = state.waiting.get(&source).map_or(0, VecDeque::len);
            if of_source >= MAX_PER_SOURCE || state.depth >= MAX_WAITING && !state.evict_for(of_source) {
                return Err(busy());
            }
            state.push(source)
        };
        // The sender is dropped only if the entry was evicted.
        turn.await.map_err(|_| busy())
    }

    /// Ends a hash of this source and passes free permits to the next entries that still wait.
    fn release(&self, source: Source) {
        self.lock().end(source);
        loop {
            let Some((source, waiter)) = self.lock().pop() else { return };
            let permit = Permit { queue: Some(self.clone()), source };
            // The entry was given up: its permit is disarmed and ended here, because dropping it would call this
            // function recursively.
            if let Err(mut unwanted) = waiter.send(permit) {
                unwanted.queue = None;
                self.lock().end(source);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Busy, "too many passwords are being checked at once").with_retry_after(RETRY_AFTER)
}

impl State {
    /// Evicts the latest entry of the source with most entries, if that has at least two more than `entries`.
    fn evict_for(&mut self, entries: usize) -> bool {
        let longest = self.waiting.values_mut().max_by_key(|queue| queue.len());
        let Some(longest) = longest.filter(|queue| queue.len() > entries + 1) else { return false };
        longest.pop_back();
        self.depth -= 1;
        true
    }

    fn may_run(&self, source: &Source) -> bool {
        self.running.get(source).is_none_or(|running| *running < self.share)
    }

    fn begin(&mut self, source: Source) {
        self.free -= 1;
        *self.running.entry(source).or_default() += 1;
    }

    fn end(&mut self, source: Source) {
        self.free += 1;
        if let Some(running) = self.running.get_mut(&source) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&source);
            }
        }
    }

    fn push(&mut self, source: Source) -> oneshot::Receiver<Permit> {
        let (sender, turn) = oneshot::channel();
        let queue = self.waiting.entry(source).or_default();
        if queue.is_empty() {
            self.turns.push_back(source);
        }
        queue.push_back(sender);
        self.depth += 1;
        gauge!(QUEUE_DEPTH).set(self.depth as f64);
        turn
    }

    /// Removes the next entry that may run, and moves its source to the end; `None` while no permit is free.
    fn pop(&mut self) -> Option<(Source, oneshot::Sender<Permit>)> {
        if self.free == 0 {
            return None;
        }
        let place = self.turns.iter().position(|source| self.may_run(source))?;
        let source = self.turns.remove(place)?;
        let queue = self.waiting.get_mut(&source)?;
        let next = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.depth -= 1;
        gauge!(QUEUE_DEPTH).set(self.depth as f64);
        self.begin(source);
        Some((source, next))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.release(self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::pin::Pin;

    use futures::FutureExt;

    use super::*;

    fn from(address: u32) -> Source {
        Source::Address(Some(IpAddr::V4(Ipv4Addr::from_bits(address))))
    }

    type Entry<'q> = Pin<Box<dyn Future<Output = Result<Permit>> + Send + 'q>>;

    /// Creates an entry that waits.
    fn waiting(queue: &HashQueue, source: Source) -> Entry<'_> {
        let mut entry: Entry<'_> = Box::pin(queue.enter(source));
        assert!((&mut entry).now_or_never().is_none(), "it did not have to wait");
        entry
    }

    #[test]
    fn flood_from_many_addresses_delays_others_by_one_round() {
        let queue = HashQueue::of(1);
        let mut running = queue.enter(from(0)).now_or_never().unwrap().unwrap();
        let mut flood = Vec::new();
        for address in 1..=60 {
            flood.extend((0..MAX_PER_SOURCE).map(|_| waiting(&queue, from(address))));
            let refused = queue.enter(from(address)).now_or_never().unwrap().unwrap_err();
            assert_eq!((refused.kind(), refused.retry_after()), (ErrorKind::Busy, Some(RETRY_AFTER)));
        }
        let mut somebody = waiting(&queue, from(1_000));
        let mut before = 0;
        loop {
            drop(running);
            if let Some(permit) = (&mut somebody).now_or_never() {
                permit.unwrap();
                break;
            }
            let mut served = None;
            flood.retain_mut(|entry| match served.is_none().then(|| entry.now_or_never()).flatten() {
                Some(permit) => {
                    served = Some(permit.unwrap());
                    false
                }
                None => true,
            });
            running = served.unwrap();
            before += 1;
        }
        assert_eq!(before, 60, "one of each address");
    }

    #[test]
    fn one_source_leaves_a_core_to_others() {
        let queue = HashQueue::of(3);
        let mut flood: Vec<Permit> =
            (0..2).map(|_| queue.enter(from(1)).now_or_never().unwrap().unwrap()).collect();
        let mut next = waiting(&queue, from(1));
        // The remaining core goes to another source at once, and does not go to the flood when it becomes free.
        let other = queue.enter(from(2)).now_or_never().unwrap().unwrap();
        drop(other);
        assert!((&mut next).now_or_never().is_none());
        flood.pop();
        (&mut next).now_or_never().unwrap().unwrap();
        drop((next, flood));
        let state = queue.lock();
        assert_eq!((state.free, state.depth, state.running.len()), (3, 0, 0));
    }

    #[test]
    fn new_source_replaces_the_longest_when_full() {
        let queue = HashQueue::of(1);
        let running = queue.enter(from(0)).now_or_never().unwrap().unwrap();
        let full = 1..=(MAX_WAITING / MAX_PER_SOURCE) as u32;
        let mut flood: Vec<Entry<'_>> = full
            .flat_map(|address| (0..MAX_PER_SOURCE).map(move |_| address))
            .map(|a| waiting(&queue, from(a)))
            .collect();
        let mut somebody = waiting(&queue, from(100_000));
        assert_eq!(queue.lock().depth, MAX_WAITING);
        let evicted: Vec<_> = flood.iter_mut().filter_map(|entry| entry.now_or_never()).collect();
        assert_eq!(evicted.len(), 1);
        assert_eq!(evicted[0].as_ref().unwrap_err().kind(), ErrorKind::Busy);
        drop((running, evicted));
        drop(flood);
        (&mut somebody).now_or_never().unwrap().unwrap();
    }

    #[test]
    fn entries_that_were_given_up_are_passed_over_and_keep_no_permit() {
        let queue = HashQueue::of(1);
        let running = queue.enter(from(0)).now_or_never().unwrap().unwrap();
        let gone: Vec<Entry<'_>> = (1..1_000).map(|address| waiting(&queue, from(address))).collect();
        let mut last = waiting(&queue, from(1_000));
        drop(gone);
        drop(running);
        let mut given = (&mut last).now_or_never().unwrap().unwrap();
        // A permit that was sent but never received passes to the next entry.
        let unseen = waiting(&queue, from(1));
        drop(given);
        drop(unseen);
        given = queue.enter(from(2)).now_or_never().unwrap().unwrap();
        drop(given);
        let state = queue.lock();
        assert_eq!((state.free, state.depth), (1, 0));
    }
}
