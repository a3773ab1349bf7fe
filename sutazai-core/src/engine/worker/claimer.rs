//! Claims due tasks from the store and starts them as workers become free: one claimer per process.
//!
//! Wake-ups start a claim without a timer; polling every 5 s is the fallback for lost ones. Tasks that the workers will
//! finish within 100 ms are prefetched: many short tasks at once, but no long ones. Prefetched tasks that did not start
//! within 1 s are released, so that other processes get their share.
//!
//! One claimer instead of one query per worker: a batch costs one transaction however many workers wait for it. With
//! few workers and long tasks, each worker could as well claim for itself, which needs neither the prefetch nor its
//! release.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};

use super::clock_watch::ClockWatch;
use super::in_flight::CancellationHandle;
use super::{heartbeat, run as attempt};
use crate::domain::{Claim, Outcome, OutcomeRecord, UserId, later};
use crate::engine::guarded::guarded;
use crate::engine::shared::Shared;
use crate::error::Result;
use crate::ports::{ClaimRequest, WakeUp};

/// Interval at which the queue is polled even without wake-ups: the longest delay that a lost one can cause.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Interval between a failed claim and the next one.
const CLAIM_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of prefetched tasks.
const MAX_PREFETCH: usize = 2_048;
/// Prefetch window: as many tasks are claimed as the workers will finish in this time, by recent attempt durations.
const PREFETCH_WINDOW: Duration = Duration::from_millis(100);
/// Age at which prefetched tasks that have not started are released.
const MAX_PREFETCH_AGE: Duration = Duration::from_secs(1);

type Claiming = BoxFuture<'static, Result<Vec<Claim>>>;

/// Tasks that are claimed and have not started.
struct Prefetch {
    waiting: VecDeque<(Claim, CancellationHandle)>,
    /// Number of tasks to claim beyond those that free workers take.
    size: usize,
    /// Steady time at which the latest of them arrived.
    kept_at: Duration,
}

/// Knowledge of the claimer about the due tasks in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backlog {
    /// All due tasks were claimed.
    Drained,
    /// Due tasks may exist that have not been claimed.
    Possible,
    /// The last claim failed: the store is left alone for [`CLAIM_RETRY_INTERVAL`].
    Unreadable,
}

/// The last claim, as far as the next one depends on it.
struct LastClaim {
    /// Steady time at which it started.
    started_at: Duration,
    /// Wall-clock time by which it judged what was due.
    now: DateTime<Utc>,
    /// Number of tasks that were requested.
    requested: usize,
    /// Indicates that it returned as many tasks as requested.
    is_full: bool,
    /// Round-robin cursor: the owner of the last claimed task.
    owner: Option<UserId>,
}

/// The next look at the queue without a wake-up.
struct Poll {
    /// Next due time that no notification announces: delayed tasks and expiring leases. Read when it is needed first.
    due_at: Option<DateTime<Utc>>,
    /// Steady time of the last poll.
    last: Duration,
}

struct Claimer {
    shared: Arc<Shared>,
    outcomes: mpsc::Sender<OutcomeRecord>,
    prefetch: Prefetch,
    backlog: Backlog,
    last_claim: LastClaim,
    poll: Poll,
    clock_watch: ClockWatch,
}

/// Claims tasks until the engine closes, then releases those that have not started.
pub(crate) async fn run(shared: Arc<Shared>, outcomes: mpsc::Sender<OutcomeRecord>) {
    let mut wake_ups = shared.parts.events.subscribe();
    let closing = shared.closing.clone();
    let slots = shared.slots.clone();
    let (capacity_freed, limited) = (shared.capacity_freed.clone(), shared.parts.limits.are_set());
    let clock = shared.parts.clock.clone();
    let dispatch = shared.dispatch.clone();
    let mut dispatched = dispatch.begin();
    let mut claimer = Claimer::new(shared, outcomes);
    let mut claiming: Option<Claiming> = None;
    loop {
        claimer.begin();
        claimer.poll_if_due().await;
        if drain_wake_ups(&mut wake_ups) {
            claimer.note_due_tasks();
        }
        if claiming.is_none() && claimer.wants() > 0 {
            claiming = Some(claimer.claim());
        }
        claimer.update_local_dispatch(claiming.is_some());
        let wants_more = claimer.backlog == Backlog::Possible && claiming.is_none();
        // Tasks that are being submitted right now will occupy the free workers, so no claim competes with them.
        let needs_slot = !claimer.prefetch.waiting.is_empty() || (wants_more && dispatch.reserved() == 0);
        let wake_at = if claiming.is_none() { claimer.wake_at().await } else { claimer.poll_at() };
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            claimed = claim_result(&mut claiming) => {
                claiming = None;
                claimer.accept(claimed);
            }
            // Only awaited here: `begin` acquires the permit, or `wants` counts it. Nothing else acquires permits
            // before the engine closes, so it cannot be lost in between.
            slot = slots.acquire(), if needs_slot => drop(slot),
            Some(claims) = dispatched.recv() => claimer.accept_dispatched(claims),
            () = dispatch.released(), if wants_more => {}
            () = queue_wake_up(&mut wake_ups) => claimer.note_due_tasks(),
            // Completed tasks may have freed capacity under the concurrency limits.
            () = capacity_freed.notified(), if limited => claimer.note_due_tasks(),
            () = clock.sleep_until(wake_at) => {
                claimer.release_stale().await;
                claimer.poll_queue().await;
                claimer.backlog = Backlog::Possible;
            }
        }
    }
    if let Some(claiming) = claiming {
        // The claim is awaited, not dropped: a claim cancelled midway could leave tasks claimed that no process knows
        // of, until their leases expire.
        claimer.accept(claiming.await);
    }
    dispatched.close();
    while let Ok(claims) = dispatched.try_recv() {
        claimer.accept_dispatched(claims);
    }
    claimer.release().await;
}

async fn claim_result(claiming: &mut Option<Claiming>) -> Result<Vec<Claim>> {
    match claiming {
        Some(claiming) => claiming.await,
        None => std::future::pending().await,
    }
}

/// Waits for a wake-up of the queue. A lag counts as one, because the lost wake-ups may have been of the queue.
async fn queue_wake_up(wake_ups: &mut broadcast::Receiver<WakeUp>) {
    loop {
        match wake_ups.recv().await {
            Ok(WakeUp::Task(_)) => {}
            Ok(WakeUp::Queue) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Drains the received wake-ups; returns whether one of them was of the queue.
fn drain_wake_ups(wake_ups: &mut broadcast::Receiver<WakeUp>) -> bool {
    let mut queue = false;
    loop {
        match wake_ups.try_recv() {
            Ok(wake_up) => queue |= wake_up == WakeUp::Queue,
            Err(TryRecvError::Lagged(_)) => queue = true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return queue,
        }
    }
}

impl Claimer {
    fn new(shared: Arc<Shared>, outcomes: mpsc::Sender<OutcomeRecord>) -> Self {
        let clock = &*shared.parts.clock;
        let (now, started_at) = (clock.now(), clock.monotonic());
        let clock_watch = ClockWatch::new(clock, shared.parts.lease, POLL_INTERVAL);
        Self {
            shared,
            outcomes,
            prefetch: Prefetch { waiting: VecDeque::new(), size: 0, kept_at: started_at },
            backlog: Backlog::Possible,
            last_claim: LastClaim { started_at, now, requested: 0, is_full: false, owner: None },
            poll: Poll { due_at: None, last: started_at },
            clock_watch,
        }
    }

    /// Records that there may be due tasks, unless the store is to be left alone.
    fn note_due_tasks(&mut self) {
        if self.backlog == Backlog::Drained {
            self.backlog = Backlog::Possible;
        }
    }

    /// Starts prefetched tasks while there are free workers.
    fn begin(&mut self) {
        while !self.prefetch.waiting.is_empty() && !self.shared.closing.is_cancelled() {
            let Ok(slot) = self.shared.slots.clone().try_acquire_owned() else { return };
            let Some((claim, stop)) = self.prefetch.waiting.pop_front() else { return };
            self.run(slot, claim, stop);
        }
    }

    fn run(&self, slot: OwnedSemaphorePermit, claim: Claim, stop: CancellationHandle) {
        let (shared, outcomes) = (self.shared.clone(), self.outcomes.clone());
        self.shared.tracker.spawn(async move {
            let clock = shared.parts.clock.clone();
            let begun = clock.monotonic();
            attempt::run(shared.clone(), outcomes, claim, stop).await;
            let ended = clock.monotonic();
            shared.attempt_duration.record(ended.saturating_sub(begun), ended);
            drop(slot);
        });
    }

    /// Opens or closes local dispatch for submitters. It is fair only if the store has no due tasks beyond those that
    /// the current claim will return. Otherwise new tasks would overtake older ones.
    fn update_local_dispatch(&self, claiming: bool) {
        let behind = match self.backlog {
            Backlog::Drained => self.last_claim.is_full,
            Backlog::Possible => self.last_claim.is_full || !claiming,
            Backlog::Unreadable => true,
        };
        let claimed = if claiming { self.last_claim.requested.min(self.shared.parts.workers) } else { 0 };
        self.shared.dispatch.set_waiting(self.prefetch.waiting.len() + claimed);
        self.shared.dispatch.set_open(!behind);
    }

    /// Polls the queue when something is due, and at least at [`POLL_INTERVAL`], even if local dispatch keeps the workers busy.
    async fn poll_if_due(&mut self) {
        let is_due = self.poll.due_at.is_some_and(|due| due <= self.shared.parts.clock.now());
        if is_due || self.since(self.poll.last) >= POLL_INTERVAL.min(self.shared.parts.lease / 2) {
            self.poll_queue().await;
        }
    }

    /// Reaps expired leases and requests a claim.
    async fn poll_queue(&mut self) {
        let clock = self.shared.parts.clock.clone();
        self.note_due_tasks();
        self.poll = Poll { due_at: None, last: clock.monotonic() };
        // After a suspension of the process or the machine its own leases may have expired although its attempts are
        // alive: they are renewed before anything is reaped.
        if !self.shared.in_flight.expiring_by(self.poll.last).is_empty() {
            heartbeat::beat(&self.shared).await;
        }
        if !self.clock_watch.allows_reaping(&*clock) {
            return;
        }
        let now = clock.now();
        match guarded("look for expired leases", self.shared.parts.queue.reap(now)).await {
            Ok(0) => {}
            Ok(n) => tracing::warn!(tasks = n, "expired leases reaped"),
            Err(e) => tracing::warn!(error = %e, "reaping expired leases failed"),
        }
    }

    /// Returns how many more tasks the workers could use now.
    fn wants(&self) -> usize {
        if self.backlog != Backlog::Possible {
            return 0;
        }
        let capacity = self.shared.slots.available_permits() + self.prefetch.size;
        let missing = capacity.saturating_sub(self.prefetch.waiting.len() + self.shared.dispatch.reserved());
        // Small refills of a large prefetch cost one transaction each, so they wait until half of it is used up.
        if missing * 2 < capacity { 0 } else { missing }
    }

    fn claim(&mut self) -> Claiming {
        self.adapt_prefetch();
        let now = self.shared.parts.clock.now();
        self.last_claim.now = now;
        self.last_claim.requested = self.wants();
        self.last_claim.started_at = self.shared.parts.clock.monotonic();
        (self.backlog, self.poll.due_at) = (Backlog::Drained, None);
        let request = ClaimRequest {
            worker: self.shared.worker,
            agents: self.shared.parts.registry.names(),
            limit: u32::try_from(self.last_claim.requested).unwrap_or(u32::MAX),
            lease: self.shared.parts.lease,
            now,
            limits: self.shared.parts.limits.clone(),
            after: self.last_claim.owner,
        };
        let queue = self.shared.parts.queue.clone();
        async move { guarded("claim", queue.claim(&request)).await }.boxed()
    }

    /// Adapts the prefetch to the load: while the store has more than requested, to the number of tasks that the
    /// workers finish within [`PREFETCH_WINDOW`] (hundreds of short tasks, none of long ones); halved when claims
    /// become rare.
    fn adapt_prefetch(&mut self) {
        if self.last_claim.is_full {
            let now = self.shared.parts.clock.monotonic();
            let attempts = self.shared.attempt_duration.attempts_in(PREFETCH_WINDOW, now);
            let attempts = self.shared.parts.workers as f64 * attempts;
            self.prefetch.size = (attempts as usize).min(MAX_PREFETCH);
        } else if self.since(self.last_claim.started_at) > PREFETCH_WINDOW * 5 {
            self.prefetch.size /= 2;
        }
    }

    /// Accepts the result of a claim. A full result means that there may be more due tasks.
    fn accept(&mut self, claimed: Result<Vec<Claim>>) {
        match claimed {
            Ok(claims) => {
                self.last_claim.is_full = claims.len() >= self.last_claim.requested;
                if self.last_claim.is_full {
                    self.note_due_tasks();
                }
                if let Some(last) = claims.last() {
                    self.last_claim.owner = last.task.owner;
                }
                self.keep(claims);
            }
            Err(e) => {
                tracing::warn!(error = %e, "claim failed; retrying");
                self.backlog = Backlog::Unreadable;
            }
        }
    }

    /// Accepts locally dispatched claims, which are counted as waiting before their reservation ends.
    fn accept_dispatched(&mut self, claims: Vec<Claim>) {
        let dispatched = claims.len();
        self.keep(claims);
        self.shared.dispatch.arrived(dispatched);
    }

    fn keep(&mut self, claims: Vec<Claim>) {
        let (now, monotonic) = (self.shared.parts.clock.now(), self.shared.parts.clock.monotonic());
        self.prefetch.kept_at = monotonic;
        for claim in claims {
            let left =
                claim.task.lease_until.and_then(|until| (until - now).to_std().ok()).unwrap_or_default();
            let stop = self.shared.in_flight.add(&claim, monotonic + left.min(self.shared.parts.lease));
            self.prefetch.waiting.push_back((claim, stop));
        }
        self.shared.dispatch.set_waiting(self.prefetch.waiting.len());
    }

    /// Returns the steady time until which to wait for other events: until something is due, at most
    /// [`POLL_INTERVAL`].
    ///
    /// An absolute time, because a manual clock may be advanced before the wait begins.
    async fn wake_at(&mut self) -> Duration {
        let clock = self.shared.parts.clock.clone();
        if self.backlog == Backlog::Unreadable {
            return clock.monotonic().saturating_add(CLAIM_RETRY_INTERVAL);
        }
        if !self.prefetch.waiting.is_empty() {
            let stale_at = self.prefetch.kept_at.saturating_add(MAX_PREFETCH_AGE);
            return stale_at.max(clock.monotonic().saturating_add(PREFETCH_WINDOW));
        }
        if self.backlog == Backlog::Possible || self.shared.slots.available_permits() == 0 {
            return self.poll_at();
        }
        let due_at = match self.poll.due_at {
            Some(due_at) => due_at,
            None => *self.poll.due_at.insert(self.read_due().await),
        };
        // Read in this order, time that passes in between makes the wait shorter, never longer.
        let monotonic = clock.monotonic();
        monotonic.saturating_add((due_at - clock.now()).to_std().unwrap_or_default())
    }

    /// Returns the steady time of the poll that nothing else precedes.
    fn poll_at(&self) -> Duration {
        self.shared.parts.clock.monotonic().saturating_add(POLL_INTERVAL)
    }

    /// Reads when something is due next, but no earlier than [`PREFETCH_WINDOW`] after the last claim: a task that was
    /// due by then was not claimable, and polling at once would spin. Time that has passed since the claim counts.
    async fn read_due(&self) -> DateTime<Utc> {
        let parts = &self.shared.parts;
        let agents = parts.registry.names();
        let due = guarded("look at the queue", parts.queue.next_due(&agents));
        let due = due.await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "reading the next due time failed");
            None
        });
        let latest = later(parts.clock.now(), POLL_INTERVAL);
        let soonest = later(self.last_claim.now, PREFETCH_WINDOW);
        due.map_or(latest, |due| due.max(soonest).min(latest))
    }

    /// Releases prefetched tasks that could not start in time, so that other processes can claim them.
    async fn release_stale(&mut self) {
        if !self.prefetch.waiting.is_empty() && self.since(self.prefetch.kept_at) >= MAX_PREFETCH_AGE {
            self.prefetch.size = 0;
            self.release().await;
        }
    }

    async fn release(&mut self) {
        for (claim, _) in self.prefetch.waiting.drain(..) {
            let record = OutcomeRecord { claim: claim.key(), outcome: Outcome::Released };
            // If the outcome writer has stopped, the task waits until its lease expires.
            let _ = self.outcomes.send(record).await;
        }
    }

    fn since(&self, then: Duration) -> Duration {
        self.shared.parts.clock.monotonic().saturating_sub(then)
    }
}
