//! A server that stops and starts again: errors say so, there is no busy loop, and then everything works
//! again. In a process of its own, since it measures its processor time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

#[path = "postgres/place.rs"]
mod place;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::json;
use sutazai_core::domain::{AgentDescriptor, Caller, NewTask, Step, TaskStatus};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock, TaskStore, WakeUp};
use sutazai_core::{ErrorKind, Result};
use tokio::time::timeout;

use place::Server;

/// Upper bound that only a hang exceeds, even on a busy machine; not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Agent that counts its runs, after 20 ms each.
#[derive(Debug, Default)]
struct Count(AtomicU32);

#[async_trait]
impl Agent for Count {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("count", "Counts its runs.").capabilities(["count"])
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        context.clock.sleep(Duration::from_millis(20)).await;
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Step::Done(json!({})))
    }
}

/// Calls the store until it answers; returns the number of failed calls.
async fn wait_for_store(store: &dyn TaskStore) -> u32 {
    let begin = Instant::now();
    let mut failed = 0;
    while let Err(e) = store.next_due(&["count".into()]).await {
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert!(begin.elapsed() < HANG_LIMIT, "{e}");
        failed += 1;
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn store_works_again_after_an_immediate_restart() {
    let server = Server::start(&["fsync=off"]);
    let url = server.database().await;
    let (store, other) =
        (sutazai_store::open(&url).await.unwrap().tasks, sutazai_store::open(&url).await.unwrap().tasks);
    let agent = Arc::new(Count::default());
    let engine = Engine::builder().task_store(store.clone()).agent(agent.clone()).workers(4).build().unwrap();
    engine.start().await.unwrap();
    let submit = |count: usize| {
        let tasks = vec![NewTask { max_attempts: Some(10), ..NewTask::new("count", json!({})) }; count];
        engine.submit_all_as(&Caller::System, tasks)
    };
    let mut acknowledged = submit(200).await.unwrap();
    // Uses every connection once, so that all of them are lost.
    join_all((0..20).map(|_| store.statistics(None))).await;
    for _ in 0..2 {
        server.control(&["restart", "-m", "immediate"]);
        wait_for_store(&*store).await;
        acknowledged.extend(submit(50).await.unwrap());
    }

    server.control(&["stop", "-m", "immediate"]);
    let begin = Instant::now();
    for e in [
        store.get(acknowledged[0].id).await.unwrap_err(),
        submit(1).await.unwrap_err(),
        store.reap(SystemClock.now()).await.unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    }
    assert!(begin.elapsed() < HANG_LIMIT, "errors must be reported at once: {:?}", begin.elapsed());
    let used = cpu_time();
    SystemClock.sleep(Duration::from_secs(2)).await;
    let busy = cpu_time() - used;
    assert!(busy < Duration::from_millis(600), "waiting for the server took {busy:?} of processor time");
    server.control(&["start"]);
    wait_for_store(&*store).await;
    acknowledged.extend(submit(50).await.unwrap());

    for task in &acknowledged {
        let ended = timeout(Duration::from_secs(60), engine.wait(&Caller::System, task.id)).await;
        assert_eq!(ended.expect("the task must end within 60 s").unwrap().status, TaskStatus::Completed);
        let events = store.events_after(task.id, 0, 1_000).await.unwrap();
        assert!(events.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence), "{events:?}");
    }
    assert!(agent.0.load(Ordering::Relaxed) >= 350);
    engine.shutdown_within(Duration::from_secs(5)).await.unwrap();

    // The other store listens again: its wake-ups can only come by NOTIFY. It retries with a growing delay.
    wait_for_store(&*other).await;
    let mut heard = other.subscribe();
    let begin = Instant::now();
    loop {
        let id = submit(1).await.unwrap()[0].id;
        let news = async { while heard.recv().await.unwrap() != WakeUp::Task(id) {} };
        if timeout(Duration::from_millis(500), news).await.is_ok() {
            break;
        }
        assert!(begin.elapsed() < HANG_LIMIT, "the store must listen again");
    }
}

/// Returns the processor time of this process so far (`/proc/self/stat`, in ticks of 10 ms).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}
