//! `kill -9` under load: a real process with an engine over an SQLite file is killed again and again while it
//! submits and runs 10,000 tasks; in the end every acknowledged task has ended once.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentDescriptor, Caller, EventKind, NewTask, PageLimit, Step, TaskId, TaskQuery, TaskStatus,
};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock, TaskStore};

use crate::place::Place;

const TASKS: usize = 10_000;
const KILLS: usize = 6;
const URL: &str = "SUTAZAI_KILLED_URL";
const SUBMITTED: &str = "SUTAZAI_KILLED_SUBMITTED";

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_task_ends_once() {
    let place = Place::new();
    let mut acknowledged = HashSet::new();
    let mut killed_at_work = 0;
    for round in 0..=KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::process_to_kill", "--ignored", "--nocapture"])
            .env(URL, place.url())
            .env(SUBMITTED, acknowledged.len().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            BufReader::new(child.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
        let mut began = None;
        for line in lines.by_ref() {
            if let Some(id) = line.strip_prefix("acknowledged ") {
                acknowledged.insert(id.parse::<TaskId>().unwrap());
            }
            let worked = line.starts_with("worked");
            let since = *began.get_or_insert_with(Instant::now);
            // Kills the process in the middle of its work, later in each round.
            let enough = since.elapsed() > Duration::from_millis(120 + 90 * round as u64);
            if round < KILLS && worked && enough {
                child.kill().unwrap();
                killed_at_work += 1;
                break;
            }
        }
        // Tasks that it acknowledged before it was killed count, even if the line is read only now.
        acknowledged
            .extend(lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<TaskId>().ok()));
        let status = child.wait().unwrap();
        assert!(round < KILLS || status.success(), "{status}");
    }
    assert_eq!(killed_at_work, KILLS, "the process must be killed in every round but the last");
    assert!(acknowledged.len() >= TASKS, "{}", acknowledged.len());

    let store = place.open().await.tasks;
    let mut taken_over = 0;
    for id in all(&*store).await {
        acknowledged.remove(&id);
        let task = store.get(id).await.unwrap().unwrap();
        assert_eq!(
            (task.status, &task.result),
            (TaskStatus::Completed, &Some(task.payload.clone())),
            "{task:?}"
        );
        taken_over += usize::from(task.attempt > 1);
        let events = store.events_after(id, 0, 1_000).await.unwrap();
        let gapless = events.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence);
        let ends = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Status { status, .. } if status.has_ended()));
        assert!(gapless && ends.count() == 1, "{events:#?}");
        // Pending, then processing and its end for each attempt.
        assert_eq!(events.len() as u32, 1 + 2 * task.attempt, "{events:#?}");
    }
    assert!(acknowledged.is_empty(), "{} acknowledged tasks are lost", acknowledged.len());
    assert!(taken_over > 0, "at least one kill must interrupt a running task");
}

async fn all(store: &dyn TaskStore) -> Vec<TaskId> {
    let mut ids = Vec::new();
    let mut query = TaskQuery { page: PageLimit::MAX.into(), ..Default::default() };
    loop {
        let page = store.list(&query).await.unwrap();
        ids.extend(page.items.iter().map(|task| task.id));
        query.page.cursor = page.next;
        if page.next.is_none() {
            return ids;
        }
    }
}

/// Agent that returns its payload after 1 ms.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl Agent for Echo {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("echo", "Gives its payload back.").capabilities(["echo"])
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        context.clock.sleep(Duration::from_millis(1)).await;
        print("worked");
        Ok(Step::Done(context.task.payload.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run and killed by every_acknowledged_task_ends_once"]
async fn process_to_kill() {
    let store = sutazai_store::open(&std::env::var(URL).unwrap()).await.unwrap().tasks;
    let submitted: usize = std::env::var(SUBMITTED).unwrap().parse().unwrap();
    let engine = Engine::builder()
        .task_store(store.clone())
        .agent(Arc::new(Echo))
        .workers(8)
        .lease(Duration::from_secs(1))
        .build()
        .unwrap();
    engine.start().await.unwrap();
    for first in (submitted..TASKS).step_by(50) {
        let batch = (first..TASKS.min(first + 50))
            .map(|n| NewTask { max_attempts: Some(100), ..NewTask::new("echo", json!({ "n": n })) });
        for task in engine.submit_all_as(&Caller::System, batch.collect()).await.unwrap() {
            print(&format!("acknowledged {}", task.id));
        }
    }
    let open = |status| TaskQuery { statuses: vec![status], ..Default::default() };
    for status in [TaskStatus::Pending, TaskStatus::Processing, TaskStatus::Pending, TaskStatus::Processing] {
        while !store.list(&open(status)).await.unwrap().items.is_empty() {
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    }
    engine.shutdown_within(Duration::from_secs(5)).await.unwrap();
}

/// Prints a line at once; the reader may be gone.
fn print(line: &str) {
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}
