//! awa: `queue-of-awa ACTION URL COUNT`, with the protocol of benches/queue/measure.py.

#[path = "../../stage.rs"]
mod stage;

use std::time::Duration;

use awa::{Client, InsertOpts, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stage::{Result, beginnings, latencies, one_by_one, ready, timed, until_stopped};

const QUEUE: &str = "nothing";
/// Workers, which are also its batch size, since it claims no more tasks than it has workers for.
const WORKERS: u32 = 500;

#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct Nothing {}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.into(), ..Default::default() }
}

/// Configured as its documentation advises for speed: no deadline per attempt, so that a claim is one row per
/// batch. As in its own comparison, it polls every 50 ms in case a notification is missed, and rarely takes
/// the snapshots for its pages.
async fn client(pool: &PgPool) -> Result<Client> {
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
            stage::run();
            Ok(JobResult::Completed)
        })
        .build()?;
    client.start().await?;
    Ok(client)
}

async fn insert(pool: &PgPool) -> Result<()> {
    awa::insert_with(pool, &Nothing {}, options()).await?;
    Ok(())
}

async fn fill(pool: &PgPool, count: usize) -> Result<()> {
    let storage = QueueStorage::new(QueueStorageConfig::default())?;
    timed(async {
        for _ in 0..count / 1_000 {
            let jobs = (0..1_000).map(|_| awa::model::insert::params_with(&Nothing {}, options()));
            storage.enqueue_params_copy(pool, &jobs.collect::<std::result::Result<Vec<_>, _>>()?).await?;
        }
        Ok(())
    })
    .await
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
        "single" => {
            insert(&pool).await?;
            one_by_one(count, || insert(&pool)).await?;
        }
        "drain" => {
            ready().await;
            let client = client(&pool).await?;
            until_stopped().await;
            client.shutdown(Duration::from_secs(10)).await;
        }
        "latency" => {
            let began = beginnings();
            let client = client(&pool).await?;
            latencies(count, began, || insert(&pool)).await?;
            client.shutdown(Duration::from_secs(5)).await;
        }
        other => return Err(format!("unknown action {other}").into()),
    }
    std::process::exit(0)
}
