//! Test fixture: an engine with a memory store, a manual clock and one agent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sutazai_core::domain::TaskStatus::Processing;
use sutazai_core::domain::{Caller, EventKind, NewTask, Task, TaskStatus};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Clock, EventLog, SystemClock, TaskStore};
use sutazai_core::testing::ManualClock;

use super::actor::Actor;

pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<MemoryTaskStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) actor: Arc<Actor>,
}

pub(crate) const ME: Caller = Caller::System;

/// Runs `future` for at most `limit` of real time; returns `None` when the limit is exceeded.
pub(crate) async fn in_real_time<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let clock: &dyn Clock = &SystemClock;
    clock.timeout(limit, future).await
}

impl Stage {
    pub(crate) fn new(workers: usize) -> Self {
        let store = Arc::new(MemoryTaskStore::new());
        Self::over(store.clone(), store, workers)
    }

    pub(crate) fn over(store: Arc<MemoryTaskStore>, seen: Arc<dyn TaskStore>, workers: usize) -> Self {
        Self::build(store, seen, workers, |builder| builder)
    }

    /// Builds a fixture with additional engine settings.
    pub(crate) fn build(
        store: Arc<MemoryTaskStore>,
        seen: Arc<dyn TaskStore>,
        workers: usize,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::new());
        let actor = Arc::new(Actor::default());
        let builder = Engine::builder().task_store(seen).clock(clock.clone()).agent(actor.clone());
        Self { engine: more(builder.workers(workers)).build().unwrap(), store, clock, actor }
    }

    pub(crate) async fn submit(&self, what: &str) -> Task {
        self.engine.submit_as(&ME, NewTask::new("actor", json!({ "do": what }))).await.unwrap()
    }

    /// Advances the clock in small steps until the task has ended.
    pub(crate) async fn until_ended(&self, task: &Task) -> Task {
        let wait = self.engine.wait(&ME, task.id);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                biased;
                ended = &mut wait => return ended.unwrap(),
                () = settle() => self.clock.advance(Duration::from_millis(500)),
            }
        }
    }

    pub(crate) async fn until_processing(&self, task: &Task) {
        while self.engine.task(&ME, task.id).await.unwrap().status != TaskStatus::Processing {
            settle().await;
        }
    }

    /// Shuts the engine down while the clock advances.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        let shutdown = self.engine.shutdown_within(grace);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                ended = &mut shutdown => return ended.unwrap(),
                () = settle() => self.clock.advance(Duration::from_secs(1)),
            }
        }
    }

    /// Submits many short tasks and then long ones, of which more are prefetched than there are workers. Returns the
    /// long ones.
    pub(crate) async fn filled(&self, long: usize) -> Vec<Task> {
        self.engine.submit_all_as(&ME, vec![NewTask::new("actor", json!({})); 500]).await.unwrap();
        let hang = NewTask { priority: Some(1), ..NewTask::new("actor", json!({ "do": "hang" })) };
        let tasks = self.engine.submit_all_as(&ME, vec![hang; long]).await.unwrap();
        self.engine.start().await.unwrap();
        while self.actor.runs.load(Ordering::SeqCst) <= 500 {
            settle().await;
        }
        settle().await;
        assert!(self.in_status(&tasks, Processing).await > 1, "none was claimed in advance");
        tasks
    }

    pub(crate) async fn in_status(&self, tasks: &[Task], status: TaskStatus) -> usize {
        let mut count = 0;
        for task in tasks {
            count += usize::from(self.engine.task(&ME, task.id).await.unwrap().status == status);
        }
        count
    }

    pub(crate) async fn statuses(&self, task: &Task) -> Vec<TaskStatus> {
        let events = self.store.events_after(task.id, 0, 1_000).await.unwrap();
        assert!(
            events.iter().enumerate().all(|(i, event)| event.sequence == i as u64 + 1),
            "a gap: {events:?}"
        );
        events
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::Status { status, .. } => Some(status),
                _ => None,
            })
            .collect()
    }
}

/// Lets everything that is ready run.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
