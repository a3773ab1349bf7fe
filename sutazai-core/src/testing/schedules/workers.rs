//! Actions of workers in a schedule, with a possible crash between any two calls.
//!
//! A worker that never renews a claim was paused beyond its lease; a forgotten claim is a crash after the claim; an
//! outcome that is kept after sending is one whose acknowledgment was lost.

use std::collections::BTreeSet;

use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::json;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::model::Told;
use super::users::DEEPEST;
use super::{AGENTS, Check, LEASE, World};
use crate::domain::{
    Claim, EventKind, InstanceId, NewEvent, Outcome, OutcomeRecord, TaskError, TaskId, UserId, Wait,
    WaitUntil,
};
use crate::error::ErrorKind;
use crate::ports::{ClaimRequest, LeaseState, TaskStore, WakeUp};

/// A worker process in a schedule.
pub(super) struct Worker {
    id: InstanceId,
    agents: Vec<String>,
    jobs: Vec<Job>,
    after: Option<UserId>,
    wake_ups: broadcast::Receiver<WakeUp>,
}

/// A claim as the worker remembers it.
struct Job {
    claim: Claim,
    /// Outcome that was sent without an acknowledgment, and is sent again.
    sent: Option<Outcome>,
}

impl Worker {
    pub(super) fn new(store: &dyn TaskStore, has_all_agents: bool) -> Self {
        let agents =
            AGENTS[..if has_all_agents { 2 } else { 1 }].iter().map(|name| (*name).to_owned()).collect();
        Self { id: InstanceId::new(), agents, jobs: Vec::new(), after: None, wake_ups: store.subscribe() }
    }

    /// Returns whether a wake-up was of the queue, or some were missed.
    fn was_woken(&mut self) -> bool {
        let mut woken = false;
        loop {
            match self.wake_ups.try_recv() {
                Ok(WakeUp::Queue) | Err(TryRecvError::Lagged(_)) => woken = true,
                Ok(WakeUp::Task(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return woken,
            }
        }
    }
}

impl World {
    /// Claims after a wake-up, or at random like a worker that polls or is woken twice.
    pub(super) async fn claim(&mut self, worker: usize) -> Check {
        let by_chance = self.resting || self.one_in(4);
        if !self.workers[worker].was_woken() && !by_chance {
            return Ok(());
        }
        let request = ClaimRequest {
            worker: self.workers[worker].id,
            agents: self.workers[worker].agents.clone(),
            limit: self.rng.random_range(1..4),
            lease: LEASE,
            now: self.now(),
            limits: self.limits.clone(),
            after: self.workers[worker].after,
        };
        let expected = self.model.claim(&request, &mut self.touched);
        let numbers: Vec<usize> = expected.iter().map(|id| self.number(*id)).collect();
        self.tell(format!("worker {worker} claims {numbers:?}"));
        let claims = self.store.claim(&request).await.map_err(|e| format!("claim: {e}"))?;
        let got: Vec<TaskId> = claims.iter().map(|claim| claim.task.id).collect();
        if got != expected {
            return Err(format!("claim: expected {expected:?}, got {got:?}"));
        }
        if let Some(last) = claims.last() {
            self.workers[worker].after = last.task.owner;
        }
        for claim in &claims {
            let children: Vec<TaskId> = claim.children.iter().map(|child| child.id).collect();
            let entry = &self.model.entries[&claim.task.id];
            if children != entry.children || claim.task.state != entry.task.state {
                return Err(format!("claim of task {}: {claim:?}\n must carry {entry:?}", entry.number));
            }
        }
        if !self.resting && self.one_in(10) {
            self.tell(format!("worker {worker} crashes before it learns of its claims"));
            self.workers[worker].jobs.clear();
        } else {
            let jobs = claims.into_iter().map(|claim| Job { claim, sent: None });
            self.workers[worker].jobs.extend(jobs);
        }
        Ok(())
    }

    pub(super) async fn renew(&mut self, worker: usize) -> Check {
        let keys: Vec<_> = self.workers[worker].jobs.iter().map(|job| job.claim.key()).collect();
        let now = self.now();
        let until = now + LEASE;
        let expected: Vec<LeaseState> =
            keys.iter().map(|key| self.model.renew(*key, (until, now), &mut self.touched)).collect();
        self.tell(format!("worker {worker} renews {expected:?}"));
        match self.store.renew(&keys, until, now).await {
            Ok(states) if states == expected => {}
            other => return Err(format!("renew: expected {expected:?}, got {other:?}")),
        }
        // Most workers stop a lost task; one in four continues, like a worker that is notified too late.
        if !self.one_in(4) {
            let mut states = expected.into_iter();
            self.workers[worker].jobs.retain(|_| states.next() != Some(LeaseState::Lost));
        }
        Ok(())
    }

    pub(super) async fn append(&mut self, worker: usize) -> Check {
        let Some(job) = self.workers[worker].jobs.iter().choose(&mut self.rng) else { return Ok(()) };
        let key = job.claim.key();
        let now = self.now();
        let texts: Vec<String> =
            (0..self.rng.random_range(1..4)).map(|_| self.rng.random::<u32>().to_string()).collect();
        let events = texts.iter().map(|text| NewEvent { at: now, kind: EventKind::text(text) });
        let events: Vec<NewEvent> = events.collect();
        let expected =
            self.model.held(&key).map(|entry| entry.events.extend(texts.into_iter().map(Told::Text)));
        self.touched.insert(key.task);
        self.tell(format!("worker {worker} appends to {}: {}", self.number(key.task), expected.is_some()));
        match self.store.append(&key, events).await {
            Ok(()) if expected.is_some() => Ok(()),
            Err(e) if expected.is_none() && e.kind() == ErrorKind::Conflict => Ok(()),
            other => Err(format!("append to task {}: got {other:?}", self.number(key.task))),
        }
    }

    /// Sends some outcomes in one batch, including outdated and repeated ones.
    pub(super) async fn record_outcomes(&mut self, worker: usize) -> Check {
        let mut jobs = std::mem::take(&mut self.workers[worker].jobs);
        let kept = if self.resting { 0 } else { self.rng.random_range(0..=jobs.len()) };
        self.workers[worker].jobs = jobs.split_off(jobs.len() - kept);
        let (mut batch, mut expected) = (Vec::new(), Vec::new());
        let now = self.now();
        for Job { claim, sent } in jobs {
            let outcome = sent.unwrap_or_else(|| self.draw_outcome(&claim));
            let key = claim.key();
            for _ in 0..=u32::from(self.one_in(20)) {
                let record = OutcomeRecord { claim: key, outcome: outcome.clone() };
                expected.push(self.model.record_outcome(record.clone(), now, &mut self.touched));
                let (number, recorded) = (self.number(key.task), expected.last() == Some(&true));
                self.tell(format!(
                    "worker {worker} finishes {number}.{}: {outcome:.0?} {recorded}",
                    key.attempt
                ));
                batch.push(record);
            }
            if !self.resting && self.one_in(6) {
                self.tell("  and hears no acknowledgement");
                self.workers[worker].jobs.push(Job { claim, sent: Some(outcome) });
            }
        }
        let answers = self.store.record_outcomes(batch, now).await.map_err(|e| format!("finish: {e}"))?;
        let good = |(answer, expected): (&crate::Result<()>, &bool)| match answer {
            Ok(()) => *expected,
            Err(e) => !*expected && e.kind() == ErrorKind::Conflict,
        };
        if answers.len() == expected.len() && answers.iter().zip(&expected).all(good) {
            Ok(())
        } else {
            Err(format!("finish: expected recorded {expected:?}, got {answers:?}"))
        }
    }

    /// Draws the outcome of an attempt by the rules of real workers: no retry after the last attempt.
    fn draw_outcome(&mut self, claim: &Claim) -> Outcome {
        let task = &claim.task;
        let error = TaskError { kind: ErrorKind::Unavailable, message: "drawn".into() };
        let depth = task.payload["depth"].as_u64().unwrap_or(DEEPEST);
        match self.rng.random_range(0..12) {
            0..=2 if task.failures + 1 < task.max_attempts => {
                let wait = chrono::Duration::milliseconds(self.rng.random_range(0..20_000));
                Outcome::Retry { at: self.now() + wait, error }
            }
            0..=2 => Outcome::Failed(error),
            3 if !self.resting => Outcome::Released,
            4 => Outcome::Cancelled,
            5..=8 if depth < DEEPEST && self.has_room() => {
                let open = claim.children.iter().filter(|child| !child.status.has_ended());
                let unfinished: BTreeSet<TaskId> = open.map(|child| child.id).collect();
                let few = u32::from(unfinished.is_empty());
                let children =
                    (0..self.rng.random_range(few..4)).map(|_| self.draw_task(depth + 1)).collect();
                let until = if self.rng.random() { WaitUntil::Any } else { WaitUntil::All };
                let state = json!(self.rng.random::<u32>());
                Outcome::Wait(Wait { unfinished: unfinished.into_iter().collect(), children, until, state })
            }
            _ => Outcome::Completed(json!(self.rng.random::<u32>())),
        }
    }

    /// Forgets all claims and restarts as another process.
    pub(super) fn crash(&mut self, worker: usize) {
        self.tell(format!("worker {worker} crashes"));
        self.workers[worker].jobs.clear();
        self.workers[worker].id = InstanceId::new();
        self.lose_notifications_of_wake_ups(worker);
    }

    pub(super) fn lose_notifications_of_wake_ups(&mut self, worker: usize) {
        self.workers[worker].wake_ups = self.store.subscribe();
    }
}
