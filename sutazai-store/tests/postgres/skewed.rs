//! Worker processes whose clocks are five minutes wrong: no task is taken over, since all use the clock of
//! the database.

use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::Result;
use sutazai_core::domain::{AgentDescriptor, Caller, NewTask, Step, TaskStatus};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock};
use tokio::time::timeout;

use crate::place::database;
use crate::{HANG_LIMIT, faketime};

const URL: &str = "SUTAZAI_SKEWED_URL";
const SLOTS: usize = 4;
/// Longer than the lease, so that it must be renewed.
const WORK: Duration = Duration::from_millis(2_500);
const LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn worker_with_a_wrong_clock_takes_over_no_task() {
    let url = database().await;
    let stores = sutazai_store::open(&url).await.unwrap();
    let engine = Engine::builder().task_store(stores.tasks.clone()).clock(stores.clock).agent(Arc::new(Tell));
    let engine = engine.build().unwrap();
    let new = vec![NewTask::new("tell", json!({})); 3 * SLOTS * 2];
    let tasks = engine.submit_all_as(&Caller::System, new).await.unwrap();
    let _workers = [None, Some("+300s"), Some("-300s")].map(|skew| Worker::start(&url, skew));
    let mut seen = HashSet::new();
    let begin = Instant::now();
    for task in &tasks {
        let ended = timeout(Duration::from_secs(30), engine.wait(&Caller::System, task.id));
        let ended = ended.await.expect("the task must end within 30 s").unwrap();
        assert_eq!((ended.status, ended.attempt, ended.failures), (TaskStatus::Completed, 1, 0), "{ended:?}");
        seen.insert(ended.result.as_ref().and_then(Value::as_i64).unwrap());
        let events = stores.tasks.events_after(task.id, 0, 10).await.unwrap();
        assert!(events.len() == 3 && events.is_sorted_by_key(|event| event.at), "{events:#?}");
    }
    assert_eq!(seen, HashSet::from([-5, 0, 5]), "every worker must have run a task");
    assert!(begin.elapsed() < HANG_LIMIT, "{:?}", begin.elapsed());
}

/// Process with an engine, killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(url: &str, skew: Option<&str>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "skewed::process_with_a_wrong_clock", "--ignored"]).env(URL, url);
        if let Some(skew) = skew {
            faketime::preload(&mut command).env("FAKETIME", skew);
        }
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Agent that returns by how many minutes the clock of its process is wrong.
#[derive(Debug)]
struct Tell;

#[async_trait]
impl Agent for Tell {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("tell", "Returns the error of its clock.").capabilities(["tell"])
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        context.clock.sleep(WORK).await;
        let ahead = SystemClock.now() - context.clock.now();
        Ok(Step::Done(json!((ahead.as_seconds_f64() / 60.0).round() as i64)))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run and killed by worker_with_a_wrong_clock_takes_over_no_task"]
async fn process_with_a_wrong_clock() {
    let stores = sutazai_store::open(&std::env::var(URL).unwrap()).await.unwrap();
    let builder = Engine::builder().task_store(stores.tasks).clock(stores.clock).agent(Arc::new(Tell));
    let engine = builder.workers(SLOTS).lease(LEASE).build().unwrap();
    engine.start().await.unwrap();
    // Ends when it is killed, or when the process that started it ends, which closes this input.
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}
