//! Runs servers that only accept tasks and worker processes that only run them, both with a custom agent.
//!
//! Run it, with one `DATABASE_URL` for both: `cargo run --features http,host-metrics --example 07_own_processes serve`, and any
//! number of `cargo run --features http,host-metrics --example 07_own_processes worker`

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use sutazai::config::Config;
use sutazai::http;
use sutazai::prelude::*;
use sutazai::setup::{Service, Worker};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: PathBuf,
    #[schemars(range(min = 0.0, max = 3600.0))]
    seconds: f64,
}

#[derive(Serialize, JsonSchema)]
struct Written {
    process: u32,
}

/// Waits and then appends a line to a file: a stand-in for slow work with external effects. After a crash the effect may
/// happen twice, by the lost attempt and by the next one; the outcome is recorded once.
async fn write(entry: Entry, context: AgentContext) -> Result<Written> {
    tokio::select! {
        () = context.clock.sleep(Duration::from_secs_f64(entry.seconds)) => {}
        () = context.cancellation.cancelled() => return Err(Error::cancelled("the task was cancelled")),
    }
    let process = std::process::id();
    let line = format!("{} {} {process}\n", context.task.id, context.task.attempt);
    OpenOptions::new().append(true).create(true).open(entry.file)?.write_all(line.as_bytes())?;
    Ok(Written { process })
}

fn with_journal(builder: EngineBuilder) -> EngineBuilder {
    builder.agent(agent("journal", write).description("Adds a line to a file after some time."))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let stopped = async move {
        stop.recv().await;
    };
    match std::env::args().nth(1).as_deref() {
        Some("serve") => {
            let mut config = Config::from_env()?;
            config.workers = 0;
            let service = Service::open_with(&config, with_journal).await?;
            let listener = TcpListener::bind(config.server.listen).await?;
            service.start().await?;
            eprintln!("server listening on {}", config.server.listen);
            http::serve(listener, http::router(service.app()), stopped).await?;
            service.shutdown().await?;
        }
        Some("worker") => {
            let config = Config::worker_from_env()?;
            let worker = Worker::open_with(&config, with_journal).await?;
            worker.start().await?;
            eprintln!("worker started as {}", worker.engine().worker());
            stopped.await;
            worker.shutdown().await?;
        }
        _ => return Err(Error::invalid("argument", "expected serve or worker")),
    }
    Ok(())
}
