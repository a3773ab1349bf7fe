//! Behind PgBouncer in transaction mode: the suites of the ports, and workers that drain a queue while it is
//! restarted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use sutazai_core::domain::{AgentDescriptor, Caller, EventKind, NewTask, Step, Task, TaskStatus};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock, WakeUp};
use sutazai_core::testing::{
    clock, event_log, identity_store, metric_store, schedules, task_queue, task_records,
};
use sutazai_core::{ErrorKind, Result};
use sutazai_store::Stores;
use tokio::time::timeout;

use crate::HANG_LIMIT;
use crate::place::{Server, database};
use crate::pooler::Pooler;

async fn open(pooler: &Pooler) -> Stores {
    sutazai_store::open(&pooler.through(&database().await)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_conform_behind_a_pooler() {
    let pooler = Pooler::start(Server::shared());
    let make = || async { open(&pooler).await.tasks };
    task_queue::run_all(make).await;
    task_records::run_all(make).await;
    event_log::run_all(make).await;
    identity_store::run_all(|| async { open(&pooler).await.identity }).await;
    metric_store::run_all(|| async { open(&pooler).await.metrics }).await;
    clock::run_all(open(&pooler).await.clock, |_| async {}).await;
    let first = u64::from(rand::random::<u32>());
    for seed in first..first + 5 {
        if let Err(fault) = schedules::run(|| async { open(&pooler).await.tasks }, seed).await {
            panic!("{fault}");
        }
    }
}

#[tokio::test]
async fn notifications_need_a_direct_connection() {
    let pooler = Pooler::start(Server::shared());
    let url = database().await;
    let through = pooler.through(&url);
    let e = sutazai_store::open_listening(&through, Some(&through)).await.unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("DATABASE_LISTEN_URL")), "{e}");
    // Without the parameter: the pooler rejects the startup options.
    let e = sutazai_store::open(through.trim_end_matches("?pgbouncer=true")).await.unwrap_err();
    assert!(e.to_string().contains("pgbouncer=true"), "{e}");

    let changes = sutazai_store::open(&url).await.unwrap().tasks;
    let polling = sutazai_store::open(&through).await.unwrap().tasks;
    let listening = sutazai_store::open_listening(&through, Some(&url)).await.unwrap().tasks;
    let (mut nothing, mut heard) = (polling.subscribe(), listening.subscribe());
    assert_eq!(timeout(Duration::from_secs(5), heard.recv()).await.unwrap().unwrap(), WakeUp::Queue);
    let new = Task::pending(NewTask::new("echo", json!({})), None, None, SystemClock.now());
    let id = changes.enqueue(vec![new]).await.unwrap()[0].id;
    let news = async { while heard.recv().await.unwrap() != WakeUp::Task(id) {} };
    timeout(Duration::from_secs(5), news).await.expect("the wake-up must be received within 5 s");
    assert!(nothing.try_recv().is_err());
}

/// Agent that returns its payload after 20 ms.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl Agent for Echo {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("echo", "Gives its payload back.").capabilities(["echo"])
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        context.clock.sleep(Duration::from_millis(20)).await;
        Ok(Step::Done(context.task.payload.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_drain_a_queue_while_the_pooler_is_restarted() {
    let mut pooler = Pooler::start(Server::shared());
    let url = database().await;
    let direct = sutazai_store::open(&url).await.unwrap().tasks;
    let mut engines = Vec::new();
    // One engine receives notifications, the other polls.
    for listen_url in [Some(&url), None] {
        let through = pooler.through(&url);
        let stores = sutazai_store::open_listening(&through, listen_url.map(String::as_str)).await.unwrap();
        let builder = Engine::builder().task_store(stores.tasks).clock(stores.clock).agent(Arc::new(Echo));
        engines.push(builder.workers(8).lease(Duration::from_secs(3)).build().unwrap());
    }
    let new = |n| NewTask { max_attempts: Some(10), ..NewTask::new("echo", json!({ "n": n })) };
    let tasks = engines[0].submit_all_as(&Caller::System, (0..2_000).map(new).collect()).await.unwrap();
    let begin = Instant::now();
    for engine in &engines {
        engine.start().await.unwrap();
    }
    for _ in 0..3 {
        SystemClock.sleep(Duration::from_millis(400)).await;
        pooler.restart();
    }
    for task in &tasks {
        let ended = timeout(Duration::from_secs(20), engines[1].wait(&Caller::System, task.id));
        match ended.await.expect("the task must end within 20 s") {
            Ok(ended) => assert_eq!(ended.status, TaskStatus::Completed),
            // The pooler was just being restarted.
            Err(e) => assert!(e.kind().is_transient(), "{e}"),
        }
    }
    assert!(begin.elapsed() < HANG_LIMIT, "{:?}", begin.elapsed());
    for task in &tasks {
        let events = direct.events_after(task.id, 0, 100).await.unwrap();
        let gapless = events.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence);
        let ended = |kind: &EventKind| matches!(kind, EventKind::Status { status, .. } if status.has_ended());
        assert!(gapless && events.iter().filter(|event| ended(&event.kind)).count() == 1, "{events:#?}");
    }
    for engine in engines {
        engine.shutdown_within(Duration::from_secs(1)).await.unwrap();
    }
}
