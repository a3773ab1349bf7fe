//! apalis: `queue-of-apalis postgres|sqlite ACTION URL COUNT`, with the protocol of benches/queue/measure.py.

#[path = "../../stage.rs"]
mod stage;

use std::time::Duration;

use apalis::prelude::*;
use apalis_postgres::{PgPool, PostgresStorage};
use apalis_sqlite::SqliteStorage;
use futures::stream;
use stage::{beginnings, latencies, one_by_one, ready, timed, until_stopped};

const CONCURRENCY: usize = 10;
const QUEUE: &str = "nothing";
/// Batch size, as large as that of the other peers.
const BATCH: usize = 500;

async fn nothing(_: u64) -> Result<(), BoxDynError> {
    stage::run();
    Ok(())
}

macro_rules! actions {
    ($backend:expr, $worked:expr, $action:expr, $count:expr) => {{
        let (backend, count) = ($backend, $count);
        let push = || {
            let mut backend = backend.clone();
            async move { Ok(backend.push(0_u64).await?) }
        };
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
                timed(async {
                    for _ in 0..count / 1_000 {
                        let tasks = stream::iter((0..1_000_u64).map(|n| TaskBuilder::new(n).build()));
                        backend.clone().push_all(&mut Box::pin(tasks)).await?;
                    }
                    Ok(())
                })
                .await?
            }
            "single" => one_by_one(count, push).await?,
            "drain" => {
                ready().await;
                work();
                until_stopped().await;
                // It records outcomes asynchronously.
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            "latency" => {
                let began = beginnings();
                work();
                // A task that is added before it listens is only found by polling.
                tokio::time::sleep(Duration::from_secs(2)).await;
                latencies(count, began, push).await?;
            }
            other => return Err(format!("unknown action {other}").into()),
        }
    }};
}

#[tokio::main]
async fn main() -> stage::Result<()> {
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
