//! What `benches/queue/measure.py` measures of ours: `queue ACTION URL COUNT`, with the same words as the peers.
//!
//! `prepare` makes the tables, `fill` submits by 1,000, `single` submits one by one from 50 callers at once, `drain` runs an
//! agent that does nothing until it is told to stop, `latency` submits one task after the other to an idle engine and tells
//! the time from the call of `submit` to the first line of the agent.

#![allow(clippy::print_stdout)] // what a benchmark is for

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

const CALLERS: usize = 50;
const CONCURRENCY: usize = 10;
/// How often it is told how many tasks were run.
const TOLD_EVERY: Duration = Duration::from_millis(20);
/// The first tasks also make the connections.
const WARM_UP: usize = 20;

/// Does nothing, and notes when it began.
#[derive(Debug)]
struct Nothing {
    began: mpsc::UnboundedSender<Instant>,
    count: AtomicUsize,
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
        self.count.fetch_add(1, Ordering::Relaxed);
        // Nobody listens while throughput is measured.
        let _ = self.began.send(Instant::now());
        Ok(Step::Done(Value::Null))
    }
}

async fn engine(url: &str) -> Result<(Engine, Arc<Nothing>, mpsc::UnboundedReceiver<Instant>)> {
    let (began, begun) = mpsc::unbounded_channel();
    let agent = Arc::new(Nothing { began, count: AtomicUsize::new(0) });
    let store = sutazai::store::open(url).await?.tasks;
    let engine = Engine::builder().task_store(store).agent(agent.clone()).workers(CONCURRENCY).build()?;
    Ok((engine, agent, begun))
}

fn nothing() -> NewTask {
    NewTask::new("nothing", json!({}))
}

async fn fill(engine: &Engine, count: usize) -> Result<()> {
    let begin = Instant::now();
    for _ in 0..count / 1_000 {
        engine.submit_all(&Caller::System, vec![nothing(); 1_000]).await?;
    }
    println!("{:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn single(engine: &Engine, count: usize) -> Result<()> {
    engine.submit(&Caller::System, nothing()).await?;
    let begin = Instant::now();
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..count / CALLERS {
            engine.submit(&Caller::System, nothing()).await?;
        }
        Ok::<(), Error>(())
    });
    futures::future::try_join_all(callers).await?;
    println!("{:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Waits until this word comes.
async fn hear(word: &'static str) {
    let wait = move || stdin().lock().lines().map_while(std::io::Result::ok).any(|line| line == word);
    let _ = tokio::task::spawn_blocking(wait).await;
}

/// Tells how many tasks were run, and when that was, as often as there are more.
fn tell(agent: &Nothing, told: &mut usize) {
    let count = agent.count.load(Ordering::Relaxed);
    if count > *told {
        println!("DONE {count} {:.6}", SystemClock.now().timestamp_micros() as f64 / 1e6);
        *told = count;
    }
}

async fn drain(engine: &Engine, agent: Arc<Nothing>) {
    println!("READY");
    hear("GO").await;
    engine.start();
    let telling = agent.clone();
    tokio::spawn(async move {
        let mut told = 0;
        loop {
            tell(&telling, &mut told);
            SystemClock.sleep(TOLD_EVERY).await;
        }
    });
    hear("STOP").await;
    // Returns when the last outcome is recorded.
    engine.shutdown(Duration::from_secs(60)).await;
    tell(&agent, &mut 0);
}

async fn latency(engine: &Engine, mut begun: mpsc::UnboundedReceiver<Instant>, count: usize) -> Result<()> {
    engine.start();
    let mut waited = Vec::with_capacity(count);
    for _ in 0..count + WARM_UP {
        SystemClock.sleep(Duration::from_millis(5)).await;
        let begin = Instant::now();
        engine.submit(&Caller::System, nothing()).await?;
        waited.extend(begun.recv().await.map(|began| format!("{:.4}", (began - begin).as_secs_f64() * 1e3)));
    }
    println!("{}", waited.split_off(WARM_UP).join(" "));
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [action, url, rest @ ..] = &arguments[..] else { return Err("expected ACTION URL COUNT".into()) };
    let count = rest.first().map_or(Ok(0), |count| count.parse())?;
    let (engine, agent, begun) = engine(url).await?;
    match action.as_str() {
        "prepare" => {}
        "fill" => fill(&engine, count).await?,
        "single" => single(&engine, count).await?,
        "drain" => drain(&engine, agent).await,
        "latency" => latency(&engine, begun, count).await?,
        other => return Err(format!("unknown action {other}").into()),
    }
    Ok(())
}
