//! Takes due tasks from the store and starts them as slots become free: one claimer a process.
//!
//! Wake-ups come first and cost no timer; polling is the fallback for those that were lost. When tasks are so short
//! that the slots run dry between two claims, more are taken at once; when they are long, none is taken in advance,
//! so that other processes get their share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};

use super::api::Shared;
use super::running::Stop;
use super::worker;
use crate::domain::{Claim, Finish, Outcome};
use crate::error::Result;
use crate::ports::{ClaimRequest, WakeUp};

/// Looks at the queue at least so often, whatever the wake-ups say.
const POLL: Duration = Duration::from_secs(5);
/// The most that is taken in advance.
const MOST_AHEAD: usize = 512;
/// Slots that ran dry sooner than this after a claim are fed more at once.
const SHORT: Duration = Duration::from_millis(100);

type Claiming = BoxFuture<'static, Result<Vec<Claim>>>;

struct Claimer {
    shared: Arc<Shared>,
    outcomes: mpsc::Sender<Finish>,
    agents: Vec<String>,
    /// Claimed and not begun.
    waiting: VecDeque<(Claim, Stop)>,
    ahead: usize,
    claimed_at: Instant,
    expired_at: DateTime<Utc>,
}

/// Claims until the engine closes, then hands back what has not begun.
pub(super) async fn run(shared: Arc<Shared>, outcomes: mpsc::Sender<Finish>) {
    let mut wake_ups = shared.parts.store.subscribe();
    let agents = shared.parts.registry.names();
    let expired_at = shared.parts.clock.now();
    let waiting = VecDeque::new();
    let mut claimer =
        Claimer { shared, outcomes, agents, waiting, ahead: 0, claimed_at: Instant::now(), expired_at };
    let mut claiming: Option<Claiming> = None;
    let mut more = true;
    let closing = claimer.shared.closing.clone();
    loop {
        claimer.begin();
        claimer.take_over(false).await;
        more |= drain(&mut wake_ups);
        if more && claiming.is_none() && claimer.wants() > 0 {
            more = false;
            claiming = Some(claimer.claim());
        }
        let slots = claimer.shared.slots.clone();
        let clock = claimer.shared.parts.clock.clone();
        let pause = if claiming.is_none() && !more { claimer.pause().await } else { POLL };
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            claimed = async { match claiming.as_mut() { Some(claim) => claim.await, None => std::future::pending().await } } => {
                claiming = None;
                more = claimer.take(claimed).await;
            }
            // A slot that becomes free is taken by `begin`, or lets more be claimed.
            permit = slots.acquire(), if claimer.shared.slots.available_permits() == 0 => drop(permit),
            () = queue_wake_up(&mut wake_ups) => more = true,
            () = clock.sleep(pause) => {
                claimer.take_over(true).await;
                more = true;
            }
        }
    }
    if let Some(claiming) = claiming {
        // Cutting a claim off in the middle could leave tasks claimed that nobody knows of.
        claimer.take(claiming.await).await;
    }
    claimer.hand_back().await;
}

/// Waits for a wake-up that speaks of the queue, or for the loss of some.
async fn queue_wake_up(wake_ups: &mut broadcast::Receiver<WakeUp>) {
    loop {
        match wake_ups.recv().await {
            Ok(WakeUp::Task(_)) => {}
            Ok(WakeUp::Queue) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Empties the wake-ups that have already come; whether one of them spoke of the queue.
fn drain(wake_ups: &mut broadcast::Receiver<WakeUp>) -> bool {
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
    /// Starts what waits, as far as there are free slots.
    fn begin(&mut self) {
        while !self.waiting.is_empty() {
            let Ok(slot) = self.shared.slots.clone().try_acquire_owned() else { return };
            let Some((claim, stop)) = self.waiting.pop_front() else { return };
            let (shared, outcomes) = (self.shared.clone(), self.outcomes.clone());
            self.shared.tracker.spawn(async move {
                worker::run(shared, outcomes, claim, stop).await;
                drop(slot);
            });
        }
    }

    /// Takes back what dead workers held: now, or when half a lease has passed since the last time.
    async fn take_over(&mut self, now_in_any_case: bool) {
        let parts = &self.shared.parts;
        let now = parts.clock.now();
        if !now_in_any_case
            && now - self.expired_at < chrono::Duration::from_std(parts.lease / 2).unwrap_or_default()
        {
            return;
        }
        self.expired_at = now;
        match parts.store.expire(now).await {
            Ok(0) => {}
            Ok(n) => tracing::warn!(tasks = n, "leases ran out; their tasks are taken back"),
            Err(e) => tracing::warn!(error = %e, "leases that ran out could not be looked for"),
        }
    }

    /// How many more tasks could be put to use now.
    fn wants(&self) -> usize {
        let room = self.shared.slots.available_permits() + self.ahead;
        let missing = room.saturating_sub(self.waiting.len());
        // Small refills of a large stock cost a transaction each: wait until half of it is used up.
        if missing * 2 < room { 0 } else { missing }
    }

    fn claim(&mut self) -> Claiming {
        let dry = self.waiting.is_empty();
        match self.claimed_at.elapsed() {
            elapsed if elapsed < SHORT && dry => {
                self.ahead = (self.ahead * 2).max(self.shared.parts.workers).min(MOST_AHEAD)
            }
            elapsed if elapsed > SHORT * 5 => self.ahead /= 2,
            _ => {}
        }
        self.claimed_at = Instant::now();
        let request = ClaimRequest {
            worker: self.shared.worker,
            agents: self.agents.clone(),
            limit: u32::try_from(self.wants()).unwrap_or(u32::MAX),
            lease: self.shared.parts.lease,
            now: self.shared.parts.clock.now(),
        };
        let store = self.shared.parts.store.clone();
        async move { store.claim(&request).await }.boxed()
    }

    /// Keeps what was claimed; whether there may be more.
    async fn take(&mut self, claimed: Result<Vec<Claim>>) -> bool {
        match claimed {
            Ok(claims) => {
                let some = !claims.is_empty();
                for claim in claims {
                    let stop = self.shared.running.add(&claim);
                    self.waiting.push_back((claim, stop));
                }
                some
            }
            Err(e) => {
                tracing::warn!(error = %e, "tasks could not be claimed; trying again");
                self.shared.parts.clock.sleep(Duration::from_secs(1)).await;
                false
            }
        }
    }

    /// How long to wait when nothing is due: until something is, but no longer than the poll.
    async fn pause(&self) -> Duration {
        if self.wants() == 0 {
            return POLL;
        }
        let now = self.shared.parts.clock.now();
        match self.shared.parts.store.next_due(&self.agents).await {
            Ok(Some(due)) => (due - now).to_std().unwrap_or_default().clamp(SHORT, POLL),
            _ => POLL,
        }
    }

    async fn hand_back(self) {
        for (claim, _) in self.waiting {
            let finish = Finish { claim: claim.key(), outcome: Outcome::HandBack };
            // A finisher that has gone leaves the task to its lease.
            let _ = self.outcomes.send(finish).await;
        }
    }
}
