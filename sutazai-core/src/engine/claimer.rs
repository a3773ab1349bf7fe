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
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};

use super::api::Shared;
use super::guarded::guarded;
use super::running::Stop;
use super::set_clock::ClockWatch;
use super::{heartbeat, worker};
use crate::domain::{Claim, Finish, Outcome, UserId, later};
use crate::error::Result;
use crate::ports::{ClaimRequest, WakeUp};

/// Interval at which the queue is polled even without wake-ups: the longest delay that a lost one can cause.
pub(super) const POLL: Duration = Duration::from_secs(5);
/// Interval between a failed claim and the next one.
const CLAIM_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of prefetched tasks.
const MAX_PREFETCH: usize = 2_048;
/// Prefetch window: as many tasks are claimed as the workers will finish in this time, by recent attempt durations.
const PREFETCH_WINDOW: Duration = Duration::from_millis(100);
/// Age at which prefetched tasks that have not started are released.
const MAX_PREFETCH_AGE: Duration = Duration::from_secs(1);

type Claiming = BoxFuture<'static, Result<Vec<Claim>>>;

struct Claimer {
    shared: Arc<Shared>,
    outcomes: mpsc::Sender<Finish>,
    agents: Vec<String>,
    /// Claimed tasks that have not started.
    waiting: VecDeque<(Claim, Stop)>,
    /// Number of tasks to prefetch beyond those that free workers take.
    prefetch: usize,
    /// Whether there may be due tasks that have not been requested.
    more: bool,
    /// Whether the last claim failed: the store is left alone for [`CLAIM_RETRY_INTERVAL`].
    failed: bool,
    /// Number of tasks requested by the last claim.
    asked_for: usize,
    /// Whether the last claim returned as many tasks as requested.
    full: bool,
    /// Round-robin cursor: the owner of the last claimed task.
    after: Option<UserId>,
    /// Steady time at which the last claim started.
    claimed_at: Duration,
    /// Steady time at which the latest prefetched task came.
    kept_at: Duration,
    /// Next due time that no notification announces (delayed tasks and expiring leases), as read since the last claim;
    /// tasks submitted later send a wake-up.
    due_at: Option<DateTime<Utc>>,
    /// Steady time of the last poll.
    polled_at: Duration,
    clock_watch: ClockWatch,
}

/// Claims tasks until the engine closes, then releases those that have not started.
pub(super) async fn run(shared: Arc<Shared>, outcomes: mpsc::Sender<Finish>) {
    let mut wake_ups = shared.parts.store.subscribe();
    let closing = shared.closing.clone();
    let slots = shared.slots.clone();
    let (room, limited) = (shared.room.clone(), shared.parts.limits.are_set());
    let clock = shared.parts.clock.clone();
    let hand_over = shared.hand_over.clone();
    let mut dispatched = hand_over.begin();
    let mut claimer = Claimer::new(shared, outcomes);
    let mut claiming: Option<Claiming> = None;
    loop {
        claimer.begin();
        claimer.poll_if_due().await;
        claimer.more |= drain_wake_ups(&mut wake_ups);
        if claimer.more && claiming.is_none() && claimer.wants() > 0 {
            claiming = Some(claimer.claim());
        }
        claimer.update_local_dispatch(claiming.is_some());
        let wants_more = claimer.more && claiming.is_none() && !claimer.failed;
        // Tasks that are being submitted right now will occupy the free workers, so no claim competes with them.
        let needs_slot = !claimer.waiting.is_empty() || (wants_more && hand_over.promised() == 0);
        let pause = if claiming.is_none() { claimer.pause().await } else { POLL };
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
            () = hand_over.settled(), if wants_more => {}
            () = queue_wake_up(&mut wake_ups) => claimer.more = true,
            // Completed tasks may have freed capacity under the concurrency limits.
            () = room.notified(), if limited => claimer.more = true,
            () = clock.sleep(pause) => {
                claimer.release_stale().await;
                claimer.poll().await;
                claimer.failed = false;
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
    fn new(shared: Arc<Shared>, outcomes: mpsc::Sender<Finish>) -> Self {
        let agents = shared.parts.registry.names();
        let now = shared.parts.clock.steady();
        let clock_watch = ClockWatch::new(&*shared.parts.clock, shared.parts.lease);
        Self {
            shared,
            outcomes,
            agents,
            waiting: VecDeque::new(),
            prefetch: 0,
            more: true,
            failed: false,
            asked_for: 0,
            full: false,
            after: None,
            claimed_at: now,
            kept_at: now,
            due_at: None,
            polled_at: now,
            clock_watch,
        }
    }

    /// Starts prefetched tasks while there are free workers.
    fn begin(&mut self) {
        while !self.waiting.is_empty() && !self.shared.closing.is_cancelled() {
            let Ok(slot) = self.shared.slots.clone().try_acquire_owned() else { return };
            let Some((claim, stop)) = self.waiting.pop_front() else { return };
            self.run(slot, claim, stop);
        }
    }

    fn run(&self, slot: OwnedSemaphorePermit, claim: Claim, stop: Stop) {
        let (shared, outcomes) = (self.shared.clone(), self.outcomes.clone());
        self.shared.tracker.spawn(async move {
            let begun = Instant::now();
            worker::run(shared.clone(), outcomes, claim, stop).await;
            shared.pace.took(begun.elapsed());
            drop(slot);
        });
    }

    /// Opens or closes local dispatch for submitters. It is fair only if the store has no due tasks beyond those that
    /// the current claim will return. Otherwise new tasks would overtake older ones.
    fn update_local_dispatch(&self, claiming: bool) {
        let behind = self.full || self.failed || (self.more && !claiming);
        let claimed = if claiming { self.asked_for.min(self.shared.parts.workers) } else { 0 };
        self.shared.hand_over.set_waiting(self.waiting.len() + claimed);
        self.shared.hand_over.set_open(!behind);
    }

    /// Polls the queue when something is due, and at least at [`POLL`], even if local dispatch keeps the workers busy.
    async fn poll_if_due(&mut self) {
        let is_due = self.due_at.is_some_and(|due| due <= self.shared.parts.clock.now());
        if is_due || self.since(self.polled_at) >= POLL.min(self.shared.parts.lease / 2) {
            self.poll().await;
        }
    }

    /// Reaps expired leases and requests a claim.
    async fn poll(&mut self) {
        let clock = self.shared.parts.clock.clone();
        (self.more, self.due_at, self.polled_at) = (true, None, clock.steady());
        // After a suspension of the process or the machine its own leases may have expired although its attempts are
        // alive: they are renewed before anything is reaped.
        if !self.shared.running.run_out(self.polled_at).is_empty() {
            heartbeat::beat(&self.shared).await;
        }
        if !self.clock_watch.allows_reaping(&*clock) {
            return;
        }
        let now = clock.now();
        match guarded("look for expired leases", self.shared.parts.store.expire(now)).await {
            Ok(0) => {}
            Ok(n) => tracing::warn!(tasks = n, "expired leases reaped"),
            Err(e) => tracing::warn!(error = %e, "reaping expired leases failed"),
        }
    }

    /// Returns how many more tasks the workers could use now.
    fn wants(&self) -> usize {
        let room = self.shared.slots.available_permits() + self.prefetch;
        let missing = room.saturating_sub(self.waiting.len() + self.shared.hand_over.promised());
        // Small refills of a large prefetch cost one transaction each, so they wait until half of it is used up.
        if self.failed || missing * 2 < room { 0 } else { missing }
    }

    fn claim(&mut self) -> Claiming {
        self.adapt_prefetch();
        let now = self.shared.parts.clock.now();
        (self.more, self.due_at) = (false, None);
        self.claimed_at = self.shared.parts.clock.steady();
        self.asked_for = self.wants();
        let request = ClaimRequest {
            worker: self.shared.worker,
            agents: self.agents.clone(),
            limit: u32::try_from(self.asked_for).unwrap_or(u32::MAX),
            lease: self.shared.parts.lease,
            now,
            limits: self.shared.parts.limits.clone(),
            after: self.after,
        };
        let store = self.shared.parts.store.clone();
        async move { guarded("claim", store.claim(&request)).await }.boxed()
    }

    /// Adapts the prefetch to the load: while the store has more than requested, to the number of tasks that the
    /// workers finish within [`PREFETCH_WINDOW`] (hundreds of short tasks, none of long ones); halved when claims
    /// become rare.
    fn adapt_prefetch(&mut self) {
        if self.full {
            let attempts = self.shared.parts.workers as f64 * self.shared.pace.attempts_in(PREFETCH_WINDOW);
            self.prefetch = (attempts as usize).min(MAX_PREFETCH);
        } else if self.since(self.claimed_at) > PREFETCH_WINDOW * 5 {
            self.prefetch /= 2;
        }
    }

    /// Accepts the result of a claim. A full result means that there may be more due tasks.
    fn accept(&mut self, claimed: Result<Vec<Claim>>) {
        match claimed {
            Ok(claims) => {
                self.full = claims.len() >= self.asked_for;
                self.more |= self.full;
                self.after = claims.last().map_or(self.after, |claim| claim.task.owner);
                self.keep(claims);
            }
            Err(e) => {
                tracing::warn!(error = %e, "claim failed; retrying");
                self.failed = true;
            }
        }
    }

    /// Accepts locally dispatched claims, which are counted as waiting before their reservation ends.
    fn accept_dispatched(&mut self, claims: Vec<Claim>) {
        let dispatched = claims.len();
        self.keep(claims);
        self.shared.hand_over.arrived(dispatched);
    }

    fn keep(&mut self, claims: Vec<Claim>) {
        let (now, steady) = (self.shared.parts.clock.now(), self.shared.parts.clock.steady());
        self.kept_at = steady;
        for claim in claims {
            let left =
                claim.task.lease_until.and_then(|until| (until - now).to_std().ok()).unwrap_or_default();
            let stop = self.shared.running.add(&claim, steady + left.min(self.shared.parts.lease));
            self.waiting.push_back((claim, stop));
        }
        self.shared.hand_over.set_waiting(self.waiting.len());
    }

    /// Returns how long to wait without other events: until something is due, at most [`POLL`].
    async fn pause(&mut self) -> Duration {
        if self.failed {
            return CLAIM_RETRY_INTERVAL;
        }
        if !self.waiting.is_empty() {
            return MAX_PREFETCH_AGE.saturating_sub(self.since(self.kept_at)).max(PREFETCH_WINDOW);
        }
        if self.more || self.shared.slots.available_permits() == 0 {
            return POLL;
        }
        let due_at = match self.due_at {
            Some(due_at) => due_at,
            None => *self.due_at.insert(self.read_due().await),
        };
        (due_at - self.shared.parts.clock.now()).to_std().unwrap_or_default()
    }

    /// Reads when something is due next, but no earlier than [`PREFETCH_WINDOW`] from now: a task that is due already
    /// was not claimable just now, and polling at once would spin.
    async fn read_due(&self) -> DateTime<Utc> {
        let due = guarded("look at the queue", self.shared.parts.store.next_due(&self.agents));
        let due = due.await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "reading the next due time failed");
            None
        });
        let now = self.shared.parts.clock.now();
        let (soonest, latest) = (later(now, PREFETCH_WINDOW), later(now, POLL));
        due.unwrap_or(latest).clamp(soonest, latest)
    }

    /// Releases prefetched tasks that could not start in time, so that other processes can claim them.
    async fn release_stale(&mut self) {
        if !self.waiting.is_empty() && self.since(self.kept_at) >= MAX_PREFETCH_AGE {
            self.prefetch = 0;
            self.release().await;
        }
    }

    async fn release(&mut self) {
        for (claim, _) in self.waiting.drain(..) {
            let finish = Finish { claim: claim.key(), outcome: Outcome::HandBack };
            // If the outcome writer has stopped, the task waits until its lease expires.
            let _ = self.outcomes.send(finish).await;
        }
    }

    fn since(&self, then: Duration) -> Duration {
        self.shared.parts.clock.steady().saturating_sub(then)
    }
}
