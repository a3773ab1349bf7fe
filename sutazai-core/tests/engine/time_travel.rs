//! Time travel: a test advances the clock while the engine reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use sutazai_core::domain::TaskStatus::Completed;
use sutazai_core::domain::{NewSchedule, NewTask};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::memory::{MemoryScheduleStore, MemoryTaskStore};
use sutazai_core::ports::Clock;
use sutazai_core::testing::ManualClock;

use super::actor::Actor;
use super::embedding::{hourly, tasks};
use super::stage::{ME, in_real_time, settle};

const DAY: Duration = Duration::from_secs(86_400);

/// Manual clock that advances by a day directly after a certain reading of its time.
#[derive(Debug)]
struct JumpingClock {
    clock: ManualClock,
    /// Number of readings until the jump; none is left after it.
    readings: AtomicU32,
}

impl JumpingClock {
    /// Makes the clock jump after this many readings.
    fn arm(&self, readings: u32) {
        self.readings.store(readings, Ordering::SeqCst);
    }

    fn count(&self) {
        let counted =
            self.readings.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if counted == Ok(1) {
            self.clock.advance(DAY);
        }
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        self.count();
        now
    }

    fn monotonic(&self) -> Duration {
        let monotonic = self.clock.monotonic();
        self.count();
        monotonic
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    async fn sleep_until(&self, until: Duration) {
        self.clock.sleep_until(until).await;
    }
}

/// Starts engines whose clock is advanced once, by a day: in each after one reading more, and at the latest when nothing
/// is read any more. Each of them must then reach its end without another advance.
async fn at_every_reading<S, E>(more: impl Fn(EngineBuilder) -> EngineBuilder, begin: S, end: E)
where
    S: AsyncFn(&Engine, &JumpingClock, u32),
    E: AsyncFn(&Engine),
{
    let mut jumps = 0;
    for readings in 1..60 {
        let clock = Arc::new(JumpingClock { clock: ManualClock::new(), readings: AtomicU32::new(0) });
        let builder = Engine::builder().task_store(Arc::new(MemoryTaskStore::new())).clock(clock.clone());
        let engine = more(builder.workers(1)).start().await.unwrap();
        settle().await;
        begin(&engine, &clock, readings).await;
        settle().await;
        if clock.readings.swap(0, Ordering::SeqCst) == 0 {
            jumps += 1;
        } else {
            clock.clock.advance(DAY);
        }
        let ended = in_real_time(Duration::from_secs(20), end(&engine)).await;
        assert!(ended.is_some(), "nothing happened after the clock was advanced at reading {readings}");
        engine.shutdown_within(Duration::ZERO).await.unwrap();
    }
    assert!(jumps > 5, "the clock jumped by itself only {jumps} times");
}

#[tokio::test]
async fn one_advance_starts_a_delayed_task() {
    let begin = async |engine: &Engine, clock: &JumpingClock, readings| {
        let run_at = Some(clock.clock.now() + DAY);
        let new = NewTask { run_at, ..NewTask::new("actor", json!({})) };
        clock.arm(readings);
        engine.submit_as(&ME, new).await.unwrap();
    };
    let end = async |engine: &Engine| {
        while tasks(engine).await != [Completed] {
            settle().await;
        }
    };
    at_every_reading(|builder| builder.agent(Arc::new(Actor::default())), begin, end).await;
}

#[tokio::test]
async fn one_advance_fires_a_schedule() {
    let begin = async |engine: &Engine, clock: &JumpingClock, readings| {
        engine
            .schedules()
            .unwrap()
            .create(&ME, NewSchedule { agent: "actor".into(), payload: json!({}), ..hourly() })
            .await
            .unwrap();
        clock.arm(readings);
        // The schedules are read every 5 s.
        clock.clock.advance(Duration::from_secs(5));
    };
    let end = async |engine: &Engine| {
        while tasks(engine).await.is_empty() {
            settle().await;
        }
    };
    let more = |builder: EngineBuilder| {
        builder.agent(Arc::new(Actor::default())).schedule_store(Arc::new(MemoryScheduleStore::new()))
    };
    at_every_reading(more, begin, end).await;
}
