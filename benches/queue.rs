//! How fast the engine is over an SQLite file and over a PostgreSQL server, every commit synced.
//!
//! Throughput: 20,000 tasks of an agent that does nothing, submitted first, then run by one process; the clock runs from
//! the start of the workers to the last recorded outcome. Submitting: by 1,000, and one by one from 50 callers at once.
//! Latency: 500 tasks one after the other on an idle engine, from the call of `submit` to the first line of the agent.
//!
//! `SUTAZAI_BENCH_POSTGRES` holds the addresses of empty databases, one a line; each is used once.

#![allow(clippy::print_stdout)] // what a benchmark is for

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::domain::{AgentDescriptor, Caller, NewTask, Step, TaskQuery, TaskStatus};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext};
use sutazai_core::{Error, Result};
use tokio::sync::{Notify, mpsc};

const TASKS: usize = 20_000;
const LATENCIES: usize = 500;
const CALLERS: usize = 50;
const WORKERS: [usize; 3] = [1, 8, 10];

/// Does nothing, and tells when it began.
#[derive(Debug)]
struct Nothing {
    began: mpsc::UnboundedSender<Instant>,
    left: AtomicUsize,
    last: Notify,
}

#[async_trait]
impl Agent for Nothing {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: "nothing".into(),
            description: "Does nothing.".into(),
            capabilities: vec!["nothing".into()],
            input_schema: json!({ "type": "object" }),
        }
    }

    async fn run(&self, _context: &AgentContext) -> Result<Step> {
        // Nobody listens while throughput is measured.
        let _ = self.began.send(Instant::now());
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.last.notify_one();
        }
        Ok(Step::Done(Value::Null))
    }
}

async fn engine(
    url: &str,
    workers: usize,
    tasks: usize,
) -> Result<(Engine, Arc<Nothing>, mpsc::UnboundedReceiver<Instant>)> {
    let (began, begun) = mpsc::unbounded_channel();
    let agent = Arc::new(Nothing { began, left: AtomicUsize::new(tasks), last: Notify::new() });
    let store = sutazai::store::open(url).await?.tasks;
    let engine = Engine::builder().task_store(store).agent(agent.clone()).workers(workers).build()?;
    Ok((engine, agent, begun))
}

async fn throughput(url: &str, workers: usize) -> Result<(f64, f64)> {
    let (engine, agent, begun) = engine(url, workers, TASKS).await?;
    drop(begun);
    let begin = Instant::now();
    let tasks = vec![NewTask::new("nothing", json!({})); TASKS];
    for batch in tasks.chunks(1_000) {
        engine.submit_all(&Caller::System, batch.to_vec()).await?;
    }
    let submitted = TASKS as f64 / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    engine.start();
    agent.last.notified().await;
    // Returns when the last outcome is recorded.
    engine.shutdown(Duration::from_secs(60)).await;
    let run = TASKS as f64 / begin.elapsed().as_secs_f64();
    for status in [TaskStatus::Pending, TaskStatus::Processing] {
        let query = TaskQuery { status: Some(status), limit: 1, ..TaskQuery::default() };
        assert!(engine.tasks(&Caller::System, query).await?.items.is_empty(), "some tasks are {status}");
    }
    Ok((submitted, run))
}

/// Tasks a second that callers submit who each wait for the answer.
async fn one_by_one(url: &str) -> Result<f64> {
    let (engine, ..) = engine(url, 1, TASKS).await?;
    let begin = Instant::now();
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..TASKS / 4 / CALLERS {
            engine.submit(&Caller::System, NewTask::new("nothing", json!({}))).await?;
        }
        Ok::<(), Error>(())
    });
    futures::future::try_join_all(callers).await?;
    Ok((TASKS / 4) as f64 / begin.elapsed().as_secs_f64())
}

async fn latency(url: &str) -> Result<Vec<Duration>> {
    let (engine, _, mut begun) = engine(url, 2, LATENCIES).await?;
    engine.start();
    let mut latencies = Vec::with_capacity(LATENCIES);
    for _ in 0..LATENCIES {
        let begin = Instant::now();
        let task = engine.submit(&Caller::System, NewTask::new("nothing", json!({}))).await?;
        latencies.extend(begun.recv().await.map(|began| began - begin));
        engine.wait(&Caller::System, task.id).await?;
    }
    engine.shutdown(Duration::from_secs(5)).await;
    latencies.sort_unstable();
    Ok(latencies)
}

/// All measurements, each over a database of its own.
async fn measure(name: &str, urls: &mut impl Iterator<Item = String>) -> Result<()> {
    let mut next =
        || urls.next().ok_or_else(|| Error::invalid("SUTAZAI_BENCH_POSTGRES", "too few databases"));
    println!("{name}");
    for workers in WORKERS {
        let (submitted, run) = throughput(&next()?, workers).await?;
        if workers == 1 {
            println!("{:<50}{submitted:>12.0}", "tasks submitted a second, by 1,000");
        }
        println!("{:<50}{run:>12.0}", format!("tasks run a second, {workers} workers"));
    }
    let single = one_by_one(&next()?).await?;
    println!("{:<50}{single:>12.0}", format!("tasks submitted a second, by {CALLERS} callers"));
    let latencies = latency(&next()?).await?;
    for (name, percent) in [("p50", 50), ("p95", 95), ("p99", 99)] {
        let at = latencies[(latencies.len() - 1) * percent / 100];
        println!("{:<50}{:>9.3} ms", format!("submit to start, {name}"), at.as_secs_f64() * 1e3);
    }
    println!();
    Ok(())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = |n: usize| format!("sqlite://{}", Path::join(directory.path(), format!("{n}.db")).display());
    measure("SQLite, synchronous=FULL", &mut (0..).map(file)).await?;
    if let Ok(databases) = std::env::var("SUTAZAI_BENCH_POSTGRES") {
        measure("PostgreSQL, fsync on", &mut databases.lines().map(str::to_owned)).await?;
    }
    Ok(())
}
