//! `kill -9` of worker processes that share one database: in the end every acknowledged task has ended once.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use sutazai_core::Result;
use sutazai_core::domain::{AgentDescriptor, Caller, EventKind, NewTask, Step, TaskId, TaskStatus};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock};

use crate::place::database;

const TASKS: usize = 4_000;
const WORKERS: usize = 3;
const KILLS: usize = 8;
const URL: &str = "SUTAZAI_KILLED_URL";

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_task_ends_once() {
    let url = database().await;
    let store = sutazai_store::open(&url).await.unwrap().tasks;
    let engine = Engine::builder().task_store(store.clone()).agent(Arc::new(Echo)).build().unwrap();
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&url)).collect();
    let mut acknowledged: Vec<TaskId> = Vec::new();
    for kill in 0..KILLS {
        for first in 0..TASKS / KILLS / 50 {
            let new = |n: usize| NewTask { max_attempts: 100, ..NewTask::new("echo", json!({ "n": n })) };
            let batch = (first * 50..(first + 1) * 50).map(new).collect();
            acknowledged
                .extend(engine.submit_all(&Caller::System, batch).await.unwrap().iter().map(|t| t.id));
        }
        let slot = kill % WORKERS;
        // One that is at work is killed in the middle of it.
        workers[slot].until_it_works();
        workers[slot] = Worker::start(&url);
    }
    let begin = Instant::now();
    // Counted at one instant: between two looks a task could go from one status to the other.
    while store.statistics().await.unwrap().counts.iter().any(|count| !count.status.has_ended()) {
        assert!(begin.elapsed() < Duration::from_secs(90), "some tasks do not end");
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
    let mut taken_over = 0;
    for id in &acknowledged {
        let task = store.get(*id).await.unwrap().expect("an acknowledged task is lost");
        assert_eq!(
            (task.status, task.result.as_ref()),
            (TaskStatus::Completed, Some(&task.payload)),
            "{task:?}"
        );
        taken_over += usize::from(task.attempt > 1);
        let events = store.events_after(*id, 0, 1_000).await.unwrap();
        let gapless = events.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence);
        let ends = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Status { status, .. } if status.has_ended()));
        assert!(gapless && ends.count() == 1, "{events:#?}");
        // Pending, then for each attempt processing and its end.
        assert_eq!(events.len() as u32, 1 + 2 * task.attempt, "{events:#?}");
    }
    assert_eq!(acknowledged.len(), TASKS / KILLS / 50 * 50 * KILLS);
    assert!(taken_over > 0, "no kill hit a running task");
}

/// A process with an engine, killed when dropped.
struct Worker {
    process: Child,
    lines: Box<dyn Iterator<Item = String> + Send>,
}

impl Worker {
    fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::a_process_to_kill", "--ignored", "--nocapture"])
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
        Self { process, lines: Box::new(lines) }
    }

    fn until_it_works(&mut self) {
        assert!(self.lines.any(|line| line.starts_with("worked")), "a worker ended by itself");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Gives its payload back after a moment.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl Agent for Echo {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: "echo".into(),
            description: "Gives its payload back.".into(),
            capabilities: vec!["echo".into()],
            input_schema: json!({ "type": "object" }),
        }
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        context.clock.sleep(Duration::from_millis(5)).await;
        // The one who reads may be gone, or busy: the pipe holds more than is said here.
        let _ = std::io::stdout().lock().write_all(b"worked\n");
        Ok(Step::Done(context.task.payload.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run and killed by every_acknowledged_task_ends_once"]
async fn a_process_to_kill() {
    let store = sutazai_store::open(&std::env::var(URL).unwrap()).await.unwrap().tasks;
    let engine = Engine::builder()
        .task_store(store)
        .agent(Arc::new(Echo))
        .workers(8)
        .lease(Duration::from_secs(2))
        .build()
        .unwrap();
    engine.start();
    // Until it is killed, or the one who started it is gone and with it the other end of this.
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}
