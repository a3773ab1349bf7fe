//! Random schedules over a task store: workers that crash, pause and repeat calls, users who cancel, retry and delete,
//! lost wake-ups, and a model that predicts the result of each call.
//!
//! A schedule is drawn from its seed, so a failing one can be replayed by its number. Time is a manual clock. Calls are
//! made one after the other in any order, which covers every interleaving of a store whose calls are atomic (their
//! atomicity is checked by the conformance suite).

mod checks;
mod model;
mod users;
mod workers;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use checks::check_history;
use chrono::{DateTime, Utc};
use model::Model;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use workers::Worker;

use super::ManualClock;
use crate::domain::{ConcurrencyLimits, TaskId, UserId};
use crate::ports::{Clock, TaskStore};

/// Duration of the leases in a schedule.
const LEASE: Duration = Duration::from_secs(10);
/// Agents of a schedule; not every worker has both.
const AGENTS: [&str; 2] = ["echo", "upper"];
/// Number of latest calls that are reported with a failure.
const MAX_REPORTED_CALLS: usize = 60;

/// `Ok`, or a description of the failure.
type Check = Result<(), String>;

/// Runs the schedule of this seed on an empty store.
///
/// # Errors
/// The first deviation from the model, with the calls before it.
pub async fn run<F, Fut>(make: F, seed: u64) -> Result<(), String>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn TaskStore>>,
{
    let mut world = World::new(make().await, seed);
    let played = match world.play().await {
        Ok(()) => world.come_to_rest().await,
        fault => fault,
    };
    played.map_err(|fault| {
        let told = world.told.len().saturating_sub(MAX_REPORTED_CALLS);
        format!("seed {seed}: {fault}\nthe calls before it:\n  {}", world.told[told..].join("\n  "))
    })
}

/// State of a running schedule.
struct World {
    store: Arc<dyn TaskStore>,
    model: Model,
    rng: StdRng,
    clock: ManualClock,
    workers: Vec<Worker>,
    owners: Vec<Option<UserId>>,
    /// Concurrency limits, the same for all workers.
    limits: ConcurrencyLimits,
    /// Tasks changed since they were last compared.
    touched: BTreeSet<TaskId>,
    told: Vec<String>,
    /// Indicates that users have stopped calling, so that all tasks must reach a final state.
    resting: bool,
}

impl World {
    fn new(store: Arc<dyn TaskStore>, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..=4);
        let workers = (0..count).map(|n| Worker::new(store.as_ref(), n == 0 || rng.random())).collect();
        let owners =
            [vec![None], (0..rng.random_range(0..3)).map(|_| Some(UserId::new())).collect()].concat();
        let mut limits = ConcurrencyLimits::default();
        if rng.random_range(0..3) == 0 {
            limits.per_owner = Some(rng.random_range(1..4));
        }
        if rng.random_range(0..3) == 0 {
            limits.per_agent.insert(AGENTS[rng.random_range(0..2)].to_owned(), rng.random_range(1..3));
        }
        Self {
            store,
            model: Model::default(),
            rng,
            clock: ManualClock::new(),
            workers,
            owners,
            limits,
            touched: BTreeSet::new(),
            told: Vec::new(),
            resting: false,
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns true once in `n` times on average.
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.told.push(what.into());
    }

    /// Picks one of the known tasks.
    fn any_task(&mut self) -> Option<TaskId> {
        let known = self.model.entries.len();
        (known > 0)
            .then(|| self.rng.random_range(0..known))
            .and_then(|n| self.model.entries.keys().nth(n).copied())
    }

    async fn play(&mut self) -> Check {
        let steps = self.rng.random_range(30..150);
        for step in 0..steps {
            let worker = self.rng.random_range(0..self.workers.len());
            match self.rng.random_range(0..30) {
                0..=3 => self.submit().await?,
                4..=8 => self.claim(worker).await?,
                9..=11 => self.append(worker).await?,
                12..=17 => self.record_outcomes(worker).await?,
                18..=19 => self.renew(worker).await?,
                20..=22 => self.let_time_pass(),
                23 => self.reap().await?,
                24..=25 => self.cancel().await?,
                26 => self.retry().await?,
                27 => self.delete().await?,
                28 => self.crash(worker),
                _ => self.lose_notifications_of_wake_ups(worker),
            }
            if step % 16 == 0 {
                self.touched.extend(self.model.entries.keys().copied());
            }
            self.compare().await?;
        }
        Ok(())
    }

    /// Sleeps no longer than `next_due` returns until every task has ended: a task that it omits would never be
    /// claimed.
    async fn come_to_rest(&mut self) -> Check {
        self.resting = true;
        let agents = AGENTS.map(str::to_owned);
        for _ in 0..2_000 {
            let due = self.store.next_due(&agents).await.map_err(|e| format!("next_due: {e}"))?;
            let Some(due) = due else { return self.all_have_ended().await };
            // Like the engine: a due task may be held back by limits until the lease of a crashed worker expires.
            let wait = (due - self.now()).to_std().unwrap_or_default();
            self.clock.advance(wait.max(Duration::from_millis(100)));
            self.reap().await?;
            for worker in 0..self.workers.len() {
                self.claim(worker).await?;
                self.record_outcomes(worker).await?;
            }
            self.compare().await?;
        }
        Err("the tasks do not come to their end".into())
    }

    async fn all_have_ended(&mut self) -> Check {
        self.touched.extend(self.model.entries.keys().copied());
        self.compare().await?;
        match self.model.entries.values().find(|entry| !entry.task.status.has_ended()) {
            Some(entry) => Err(format!("nothing is due, but task {} is {}", entry.number, entry.task.status)),
            None => Ok(()),
        }
    }

    fn let_time_pass(&mut self) {
        // Whole milliseconds, because a store need not keep more than microseconds.
        let by = Duration::from_millis(self.rng.random_range(0..7_000));
        self.clock.advance(by);
        self.tell(format!("{} ms pass", by.as_millis()));
    }

    async fn reap(&mut self) -> Check {
        let now = self.now();
        let expected = self.model.reap(now, &mut self.touched);
        self.tell(format!("expire: {expected}"));
        match self.store.reap(now).await {
            Ok(n) if n == expected => Ok(()),
            other => Err(format!("expire: expected {expected}, got {other:?}")),
        }
    }
}
