//! awa: `queue-of-awa ACTION URL COUNT`, with the words of benches/queue/measure.py.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use awa::{Client, InsertOpts, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::mpsc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CALLERS: usize = 50;
const QUEUE: &str = "nothing";
/// It claims no more than it has workers for, so that these are its batch: as many as the others take at once.
const WORKERS: u32 = 500;

#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct Nothing {}

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BEGAN: Mutex<Option<mpsc::UnboundedSender<Instant>>> = Mutex::new(None);

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.into(), ..Default::default() }
}

/// As its documentation advises for speed: no deadline for an attempt, so that a claim is one row a batch; and as its own
/// comparison has it: a look every 50 ms where no notification comes, and the snapshots for its pages seldom.
fn client(pool: &PgPool) -> Result<Client> {
    let queue = QueueConfig {
        max_workers: WORKERS,
        poll_interval: Duration::from_millis(50),
        deadline_duration: Duration::ZERO,
        ..Default::default()
    };
    let client = Client::builder(pool.clone())
        .queue(QUEUE, queue)
        .queue_stats_interval(Duration::from_secs(300))
        .runtime_snapshot_interval(Duration::from_secs(300))
        .register::<Nothing, _, _>(|_, _| async {
            COUNT.fetch_add(1, Ordering::Relaxed);
            if let Ok(began) = BEGAN.lock() {
                began.as_ref().map(|began| began.send(Instant::now()));
            }
            Ok(JobResult::Completed)
        })
        .build()?;
    Ok(client)
}

async fn fill(pool: &PgPool, count: usize) -> Result<()> {
    let storage = QueueStorage::new(QueueStorageConfig::default())?;
    let begin = Instant::now();
    for _ in 0..count / 1_000 {
        let jobs = (0..1_000).map(|_| awa::model::insert::params_with(&Nothing {}, options()));
        storage.enqueue_params_copy(pool, &jobs.collect::<std::result::Result<Vec<_>, _>>()?).await?;
    }
    println!("{:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn single(pool: &PgPool, count: usize) -> Result<()> {
    awa::insert_with(pool, &Nothing {}, options()).await?;
    let begin = Instant::now();
    try_join_all((0..CALLERS).map(|_| async {
        for _ in 0..count / CALLERS {
            awa::insert_with(pool, &Nothing {}, options()).await?;
        }
        Ok::<(), Box<dyn Error>>(())
    }))
    .await?;
    println!("{:.6}", begin.elapsed().as_secs_f64());
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
    let wait = move || stdin().lock().lines().map_while(std::io::Result::ok).any(|line| line == word);
    let _ = tokio::task::spawn_blocking(wait).await;
}

async fn drain(pool: &PgPool) -> Result<()> {
    println!("READY");
    hear("GO").await;
    let client = client(pool)?;
    client.start().await?;
    std::thread::spawn(|| {
        let mut told = 0;
        loop {
            tell(&mut told);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    hear("STOP").await;
    client.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

async fn latency(pool: &PgPool, count: usize) -> Result<()> {
    let (sender, mut began) = mpsc::unbounded_channel();
    if let Ok(mut there) = BEGAN.lock() {
        *there = Some(sender);
    }
    let client = client(pool)?;
    client.start().await?;
    let mut waited = Vec::new();
    for _ in 0..count + 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let begin = Instant::now();
        awa::insert_with(pool, &Nothing {}, options()).await?;
        waited.extend(began.recv().await.map(|at| format!("{:.4}", (at - begin).as_secs_f64() * 1e3)));
    }
    println!("{}", waited.split_off(20).join(" "));
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [action, url, rest @ ..] = &arguments[..] else { return Err("expected ACTION URL COUNT".into()) };
    let count: usize = rest.first().map_or(Ok(0), |count| count.parse())?;
    let pool = PgPoolOptions::new().max_connections(20).connect(url).await?;
    match action.as_str() {
        "prepare" => {
            awa::migrations::run(&pool).await?;
            QueueStorage::new(QueueStorageConfig::default())?.install(&pool).await?;
        }
        "fill" => fill(&pool, count).await?,
        "single" => single(&pool, count).await?,
        "drain" => drain(&pool).await?,
        "latency" => latency(&pool, count).await?,
        other => return Err(format!("unknown action {other}").into()),
    }
    std::process::exit(0)
}
