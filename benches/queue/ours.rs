//! Our side of `benches/queue/measure.py`: `queue ACTION URL COUNT`, with the same protocol as the peers.
//!
//! `prepare` creates the tables, `fill` submits in batches of 1,000, `single` submits one by one from 50
//! concurrent callers, `drain` runs an agent that does nothing until it is told to stop, `latency` submits
//! one task after the other to an idle engine and prints the time from the call of `submit` to the start of
//! the agent, `pickup` (`queue pickup URL RATE SECONDS`) prints the same for tasks that are submitted at a
//! fixed rate.

#![allow(clippy::print_stdout)] // a benchmark prints its results

use std::io::{BufRead, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::domain::{AgentDescriptor, Caller, NewTask, Step};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const CALLERS: usize = 50;
const CONCURRENCY: usize = 10;
/// Interval of the reports of how many tasks were run.
const REPORT_INTERVAL: Duration = Duration::from_millis(20);
/// Tasks that are not measured: the first ones also open the connections.
const WARM_UP: usize = 20;
/// Seconds at a fixed rate that are not measured, for the same reason.
const WARM_UP_SECONDS: usize = 1;
/// Interval at which due tasks are submitted.
const SUBMIT_INTERVAL: Duration = Duration::from_millis(1);
/// Timeout for the last tasks at a fixed rate.
const PICKUP_TIMEOUT: Duration = Duration::from_secs(60);

/// Agent that does nothing but report how long tasks with a submission time have waited.
#[derive(Debug)]
struct Nothing {
    origin: Instant,
    waited: mpsc::UnboundedSender<Duration>,
    count: AtomicUsize,
}

impl Nothing {
    /// Builds a task with its submission time.
    fn task_of_now(&self) -> NewTask {
        NewTask::new("nothing", json!({ "at": self.origin.elapsed().as_nanos() as u64 }))
    }
}

#[async_trait]
impl Agent for Nothing {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("nothing", "Does nothing.").capabilities(["nothing"])
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(at) = context.task.payload["at"].as_u64() {
            // The receiver may be closed already.
            let _ = self.waited.send(self.origin.elapsed() - Duration::from_nanos(at));
        }
        Ok(Step::Done(Value::Null))
    }
}

type Waits = mpsc::UnboundedReceiver<Duration>;

async fn engine(url: &str) -> Result<(Engine, Arc<Nothing>, Waits)> {
    let (waited, waits) = mpsc::unbounded_channel();
    let agent = Arc::new(Nothing { origin: Instant::now(), waited, count: AtomicUsize::new(0) });
    let store = sutazai::store::open(url).await?.tasks;
    let engine = Engine::builder().task_store(store).agent(agent.clone()).workers(CONCURRENCY).build()?;
    Ok((engine, agent, waits))
}

fn nothing() -> NewTask {
    NewTask::new("nothing", json!({}))
}

async fn fill(engine: &Engine, count: usize) -> Result<()> {
    let begin = Instant::now();
    for _ in 0..count / 1_000 {
        engine.submit_all_as(&Caller::System, vec![nothing(); 1_000]).await?;
    }
    println!("{:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn single(engine: &Engine, count: usize) -> Result<()> {
    engine.submit_as(&Caller::System, nothing()).await?;
    let begin = Instant::now();
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..count / CALLERS {
            engine.submit_as(&Caller::System, nothing()).await?;
        }
        Ok::<(), Error>(())
    });
    futures::future::try_join_all(callers).await?;
    println!("{:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Waits until this word is received.
async fn wait_for(word: &'static str) {
    let wait = move || stdin().lock().lines().map_while(std::io::Result::ok).any(|line| line == word);
    let _ = tokio::task::spawn_blocking(wait).await;
}

/// Prints the number of run tasks and the time, if the number has grown.
fn report(agent: &Nothing, reported: &mut usize) {
    let count = agent.count.load(Ordering::Relaxed);
    if count > *reported {
        println!("DONE {count} {:.6}", SystemClock.now().timestamp_micros() as f64 / 1e6);
        *reported = count;
    }
}

async fn drain(engine: &Engine, agent: Arc<Nothing>) -> Result<()> {
    println!("READY");
    wait_for("GO").await;
    engine.start().await?;
    let reporting = agent.clone();
    tokio::spawn(async move {
        let mut reported = 0;
        loop {
            report(&reporting, &mut reported);
            SystemClock.sleep(REPORT_INTERVAL).await;
        }
    });
    wait_for("STOP").await;
    // Returns after the last outcome is recorded.
    engine.shutdown_within(Duration::from_secs(60)).await?;
    report(&agent, &mut 0);
    Ok(())
}

/// Prints these waits in milliseconds.
fn print_waits(waits: &[Duration]) {
    let each: Vec<_> = waits.iter().map(|wait| format!("{:.4}", wait.as_secs_f64() * 1e3)).collect();
    println!("{}", each.join(" "));
}

async fn latency(engine: &Engine, agent: &Nothing, mut waits: Waits, count: usize) -> Result<()> {
    engine.start().await?;
    let mut waited = Vec::with_capacity(count);
    for _ in 0..count + WARM_UP {
        SystemClock.sleep(Duration::from_millis(5)).await;
        engine.submit_as(&Caller::System, agent.task_of_now()).await?;
        waited.extend(waits.recv().await);
    }
    print_waits(&waited[WARM_UP..]);
    engine.shutdown_within(Duration::from_secs(5)).await?;
    Ok(())
}

fn failed(error: impl std::error::Error) -> Error {
    Error::internal(error.to_string())
}

/// Submits each task when it is due, from a caller of its own, so that none waits for earlier ones.
async fn pickup(
    engine: &Engine,
    agent: &Nothing,
    mut waits: Waits,
    rate: usize,
    seconds: usize,
) -> Result<()> {
    engine.start().await?;
    let (begin, count) = (Instant::now(), rate * (seconds + WARM_UP_SECONDS));
    let (mut callers, mut made) = (JoinSet::new(), 0);
    while made < count {
        let due = count.min((begin.elapsed().as_secs_f64() * rate as f64) as usize);
        let (engine, tasks) = (engine.clone(), vec![agent.task_of_now(); due - made]);
        callers.spawn(async move { engine.submit_all_as(&Caller::System, tasks).await });
        made = due;
        SystemClock.sleep(SUBMIT_INTERVAL).await;
    }
    while let Some(submitted) = callers.join_next().await {
        submitted.map_err(failed)??;
    }
    let all = async {
        let mut waited = Vec::with_capacity(count);
        while waited.len() < count {
            waited.extend(waits.recv().await);
        }
        waited
    };
    let waited = tokio::time::timeout(PICKUP_TIMEOUT, all).await.map_err(failed)?;
    print_waits(&waited[rate * WARM_UP_SECONDS..]);
    engine.shutdown_within(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [action, url, rest @ ..] = &arguments[..] else { return Err("expected ACTION URL COUNT".into()) };
    let numbers = rest.iter().map(|number| number.parse()).collect::<std::result::Result<Vec<usize>, _>>()?;
    let count = numbers.first().copied().unwrap_or(0);
    let (engine, agent, waits) = engine(url).await?;
    match action.as_str() {
        "prepare" => {}
        "fill" => fill(&engine, count).await?,
        "single" => single(&engine, count).await?,
        "drain" => drain(&engine, agent).await?,
        "latency" => latency(&engine, &agent, waits, count).await?,
        "pickup" => {
            let seconds = numbers.get(1).copied().ok_or("expected pickup URL RATE SECONDS")?;
            pickup(&engine, &agent, waits, count, seconds).await?;
        }
        other => return Err(format!("unknown action {other}").into()),
    }
    Ok(())
}
