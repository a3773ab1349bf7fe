//! Takes due tasks from the store and starts them as slots become free: one claimer a process.
//!
//! Wake-ups come first and cost no timer; polling is the fallback for those that were lost. What the slots use up in a
//! moment is taken in advance: many short tasks at once, and no long ones. What was taken too soon goes back, so that
//! other processes get their share.

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

/// Looks at the queue at least so often, whatever the wake-ups say.
pub(super) const POLL: Duration = Duration::from_secs(5);
/// Waits so long after a claim that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The most that is taken in advance.
const MOST_AHEAD: usize = 2_048;
/// Work of so long is taken in advance, by how long attempts have taken of late.
const AHEAD: Duration = Duration::from_millis(100);
/// What was taken in advance and has not begun after so long goes back.
const STALE: Duration = Duration::from_secs(1);

type Claiming = BoxFuture<'static, Result<Vec<Claim>>>;

struct Claimer {
    shared: Arc<Shared>,
    outcomes: mpsc::Sender<Finish>,
    agents: Vec<String>,
    /// Claimed and not begun.
    waiting: VecDeque<(Claim, Stop)>,
    /// How many may wait beside those that run.
    ahead: usize,
    /// There may be tasks that have not been asked for.
    more: bool,
    /// The store could not be asked: leave it alone for a while.
    failed: bool,
    asked_for: usize,
    /// The last claim gave as many as were asked for.
    full: bool,
    /// Whose task was claimed last.
    after: Option<UserId>,
    /// By the steady reading, as the two that follow.
    claimed_at: Duration,
    /// When the last of those that wait came.
    kept_at: Duration,
    /// When something is due that nobody will tell of, as far as was read since the last claim: what comes later sends a
    /// wake-up.
    due_at: Option<DateTime<Utc>>,
    looked_at: Duration,
    clock_watch: ClockWatch,
}

/// Claims until the engine closes, then hands back what has not begun.
pub(super) async fn run(shared: Arc<Shared>, outcomes: mpsc::Sender<Finish>) {
    let mut wake_ups = shared.parts.store.subscribe();
    let closing = shared.closing.clone();
    let slots = shared.slots.clone();
    let (room, limited) = (shared.room.clone(), shared.parts.limits.are_set());
    let clock = shared.parts.clock.clone();
    let hand_over = shared.hand_over.clone();
    let mut handed = hand_over.begin();
    let mut claimer = Claimer::new(shared, outcomes);
    let mut claiming: Option<Claiming> = None;
    loop {
        claimer.begin();
        claimer.look_in_time().await;
        claimer.more |= heard_of_queue(&mut wake_ups);
        if claimer.more && claiming.is_none() && claimer.wants() > 0 {
            claiming = Some(claimer.claim());
        }
        claimer.tell_submitters(claiming.is_some());
        let wants_more = claimer.more && claiming.is_none() && !claimer.failed;
        // What is being added comes to the slots that are free.
        let needs_slot = !claimer.waiting.is_empty() || (wants_more && hand_over.promised() == 0);
        let pause = if claiming.is_none() { claimer.pause().await } else { POLL };
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            claimed = answer(&mut claiming) => {
                claiming = None;
                claimer.take(claimed);
            }
            // `begin` takes the slot, or `wants` counts it: nothing else takes slots before the engine closes.
            slot = slots.acquire(), if needs_slot => drop(slot),
            Some(claims) = handed.recv() => claimer.take_handed(claims),
            () = hand_over.settled(), if wants_more => {}
            () = until_queue(&mut wake_ups) => claimer.more = true,
            // What has ended may have left room within the limits.
            () = room.notified(), if limited => claimer.more = true,
            () = clock.sleep(pause) => {
                claimer.hand_back_stale().await;
                claimer.look().await;
                claimer.failed = false;
            }
        }
    }
    if let Some(claiming) = claiming {
        // Cutting a claim off in the middle could leave tasks claimed that nobody knows of.
        claimer.take(claiming.await);
    }
    handed.close();
    while let Ok(claims) = handed.try_recv() {
        claimer.take_handed(claims);
    }
    claimer.hand_back().await;
}

async fn answer(claiming: &mut Option<Claiming>) -> Result<Vec<Claim>> {
    match claiming {
        Some(claiming) => claiming.await,
        None => std::future::pending().await,
    }
}

/// Waits for a wake-up that speaks of the queue, or for the loss of some.
async fn until_queue(wake_ups: &mut broadcast::Receiver<WakeUp>) {
    loop {
        match wake_ups.recv().await {
            Ok(WakeUp::Task(_)) => {}
            Ok(WakeUp::Queue) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Empties the wake-ups that have already come; whether one of them spoke of the queue.
fn heard_of_queue(wake_ups: &mut broadcast::Receiver<WakeUp>) -> bool {
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
            ahead: 0,
            more: true,
            failed: false,
            asked_for: 0,
            full: false,
            after: None,
            claimed_at: now,
            kept_at: now,
            due_at: None,
            looked_at: now,
            clock_watch,
        }
    }

    /// Starts what waits, as far as there are free slots.
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

    /// Tells those who submit whether anything is known to wait in the store: more than the claim that is on its way will
    /// bring.
    fn tell_submitters(&self, claiming: bool) {
        let behind = self.full || self.failed || (self.more && !claiming);
        let claimed = if claiming { self.asked_for.min(self.shared.parts.workers) } else { 0 };
        self.shared.hand_over.set_waiting(self.waiting.len() + claimed);
        self.shared.hand_over.set_open(!behind);
    }

    /// Looks at the queue when something is due, and now and then anyhow, however much is handed over meanwhile.
    async fn look_in_time(&mut self) {
        let is_due = self.due_at.is_some_and(|due| due <= self.shared.parts.clock.now());
        if is_due || self.since(self.looked_at) >= POLL.min(self.shared.parts.lease / 2) {
            self.look().await;
        }
    }

    /// Takes back what dead workers held, and will claim.
    async fn look(&mut self) {
        let clock = self.shared.parts.clock.clone();
        (self.more, self.due_at, self.looked_at) = (true, None, clock.steady());
        // What runs here is alive, also after this process or the whole machine was stopped for a while.
        if !self.shared.running.run_out(self.looked_at).is_empty() {
            heartbeat::beat(&self.shared).await;
        }
        if !self.clock_watch.allows_reaping(&*clock) {
            return;
        }
        let now = clock.now();
        match guarded("look for expired leases", self.shared.parts.store.expire(now)).await {
            Ok(0) => {}
            Ok(n) => tracing::warn!(tasks = n, "leases ran out; their tasks are taken back"),
            Err(e) => tracing::warn!(error = %e, "leases that ran out could not be looked for"),
        }
    }

    /// How many more tasks could be put to use now.
    fn wants(&self) -> usize {
        let room = self.shared.slots.available_permits() + self.ahead;
        let missing = room.saturating_sub(self.waiting.len() + self.shared.hand_over.promised());
        // Small refills of a large stock cost a transaction each: wait until half of it is used up.
        if self.failed || missing * 2 < room { 0 } else { missing }
    }

    fn claim(&mut self) -> Claiming {
        self.adapt();
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

    /// Where there is more than was asked for, takes in advance what the slots use up in a moment: hundreds of short
    /// tasks, none of long ones.
    fn adapt(&mut self) {
        if self.full {
            let a_moment = self.shared.parts.workers as f64 * self.shared.pace.attempts_in(AHEAD);
            self.ahead = (a_moment as usize).min(MOST_AHEAD);
        } else if self.since(self.claimed_at) > AHEAD * 5 {
            self.ahead /= 2;
        }
    }

    /// Keeps what was claimed. As many as were asked for: there may be more.
    fn take(&mut self, claimed: Result<Vec<Claim>>) {
        match claimed {
            Ok(claims) => {
                self.full = claims.len() >= self.asked_for;
                self.more |= self.full;
                self.after = claims.last().map_or(self.after, |claim| claim.task.owner);
                self.keep(claims);
            }
            Err(e) => {
                tracing::warn!(error = %e, "tasks could not be claimed; trying again");
                self.failed = true;
            }
        }
    }

    /// Keeps what was handed over.
    fn take_handed(&mut self, claims: Vec<Claim>) {
        let handed = claims.len();
        self.keep(claims);
        self.shared.hand_over.arrived(handed);
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

    /// How long to wait when nothing happens: until something is due, but no longer than the poll.
    async fn pause(&mut self) -> Duration {
        if self.failed {
            return AFTER_FAILURE;
        }
        if !self.waiting.is_empty() {
            return STALE.saturating_sub(self.since(self.kept_at)).max(AHEAD);
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

    /// When to look again: when something is due, but not at once, since this was not to be had just now.
    async fn read_due(&self) -> DateTime<Utc> {
        let due = guarded("look at the queue", self.shared.parts.store.next_due(&self.agents));
        let due = due.await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "when the next task is due could not be read");
            None
        });
        let now = self.shared.parts.clock.now();
        let (soonest, latest) = (later(now, AHEAD), later(now, POLL));
        due.unwrap_or(latest).clamp(soonest, latest)
    }

    /// Gives other processes what was taken in advance and then had to wait after all.
    async fn hand_back_stale(&mut self) {
        if !self.waiting.is_empty() && self.since(self.kept_at) >= STALE {
            self.ahead = 0;
            self.hand_back().await;
        }
    }

    async fn hand_back(&mut self) {
        for (claim, _) in self.waiting.drain(..) {
            let finish = Finish { claim: claim.key(), outcome: Outcome::HandBack };
            // A finisher that has gone leaves the task to its lease.
            let _ = self.outcomes.send(finish).await;
        }
    }

    fn since(&self, then: Duration) -> Duration {
        self.shared.parts.clock.steady().saturating_sub(then)
    }
}
