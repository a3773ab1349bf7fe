//! apalis: `queue-of-apalis postgres|sqlite ACTION URL COUNT`, with the words of benches/queue/measure.py.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use apalis::prelude::*;
use apalis_postgres::{PgPool, PostgresStorage};
use apalis_sqlite::SqliteStorage;
use futures::future::try_join_all;
use futures::stream;
use tokio::sync::mpsc;

const CALLERS: usize = 50;
const CONCURRENCY: usize = 10;
const QUEUE: &str = "nothing";
/// As many at once as the others take.
const BATCH: usize = 500;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BEGAN: Mutex<Option<mpsc::UnboundedSender<Instant>>> = Mutex::new(None);

async fn nothing(_: u64) -> Result<(), BoxDynError> {
    COUNT.fetch_add(1, Ordering::Relaxed);
    if let Ok(began) = BEGAN.lock() {
        began.as_ref().map(|began| began.send(Instant::now()));
    }
    Ok(())
}

fn tell(told: &mut usize) {
    let count = COUNT.load(Ordering::Relaxed);
    if count > *told {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        println!("DONE {count} {:.6}", now.as_secs_f64());
        *told = count;
    }
}

async fn hear(word: &'static str) {
    let wait = move || stdin().lock().lines().map_while(Result::ok).any(|line| line == word);
    let _ = tokio::task::spawn_blocking(wait).await;
}

macro_rules! actions {
    ($backend:expr, $worked:expr, $action:expr, $count:expr) => {{
        let (backend, count) = ($backend, $count);
        let work = || {
            let worker = WorkerBuilder::new(format!("worker-{}", std::process::id()))
                .backend($worked)
                .concurrency(CONCURRENCY)
                .build(nothing);
            tokio::spawn(async move { worker.run().await.map_err(|e| e.to_string()) })
        };
        match $action {
            "prepare" => {}
            "fill" => {
                let begin = Instant::now();
                for _ in 0..count / 1_000 {
                    let tasks = stream::iter((0..1_000_u64).map(|n| TaskBuilder::new(n).build()));
                    backend.clone().push_all(&mut Box::pin(tasks)).await?;
                }
                println!("{:.6}", begin.elapsed().as_secs_f64());
            }
            "single" => {
                let begin = Instant::now();
                try_join_all((0..CALLERS).map(|_| {
                    let mut backend = backend.clone();
                    async move {
                        for n in 0..count / CALLERS {
                            backend.push(n as u64).await?;
                        }
                        Ok::<(), Box<dyn Error>>(())
                    }
                }))
                .await?;
                println!("{:.6}", begin.elapsed().as_secs_f64());
            }
            "drain" => {
                println!("READY");
                hear("GO").await;
                work();
                std::thread::spawn(|| {
                    let mut told = 0;
                    loop {
                        tell(&mut told);
                        std::thread::sleep(Duration::from_millis(20));
                    }
                });
                hear("STOP").await;
                // What it has run it records on its own time.
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            "latency" => {
                let (sender, mut began) = mpsc::unbounded_channel();
                if let Ok(mut there) = BEGAN.lock() {
                    *there = Some(sender);
                }
                work();
                // A task that comes before it listens is found by nobody.
                tokio::time::sleep(Duration::from_secs(2)).await;
                let (mut backend, mut waited) = (backend.clone(), Vec::new());
                for n in 0..count + 20 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    let begin = Instant::now();
                    backend.push(n as u64).await?;
                    waited.extend(began.recv().await.map(|at| format!("{:.4}", (at - begin).as_secs_f64() * 1e3)));
                }
                println!("{}", waited.split_off(20).join(" "));
            }
            other => return Err(format!("unknown action {other}").into()),
        }
    }};
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, action, url, rest @ ..] = &arguments[..] else {
        return Err("expected postgres|sqlite ACTION URL COUNT".into());
    };
    let count: usize = rest.first().map_or(Ok(0), |count| count.parse())?;
    if store == "postgres" {
        let pool = PgPool::connect(url).await?;
        PostgresStorage::<()>::setup(&pool).await?;
        let config = apalis_postgres::Config { batch_size: BATCH, queue: QUEUE.into(), lock_tasks: false, ..Default::default() };
        let backend = PostgresStorage::<u64>::new(&pool).with_config(config);
        actions!(backend.clone(), backend.clone().with_pubsub(), action.as_str(), count);
    } else {
        let (pool, listener) = SqliteStorage::connect_with_callback(url)?;
        SqliteStorage::setup(&pool).await?;
        let config = apalis_sqlite::Config::default().batch_size(BATCH).queue(QUEUE).lock_tasks(false);
        let backend = SqliteStorage::<u64>::new(&pool).with_config(config);
        actions!(backend.clone(), backend.clone().with_callback(listener), action.as_str(), count);
    }
    std::process::exit(0)
}
