//! Runs servers that only accept tasks and worker processes that only run them, both with a custom agent.
//!
//! Run it, with one `DATABASE_URL` for both: `cargo run --example 07_own_processes serve`, and any number of
//! `cargo run --example 07_own_processes worker`

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sutazai::config::Config;
use sutazai::domain::{AgentDescriptor, Step};
use sutazai::ports::{Agent, AgentContext};
use sutazai::setup::{Service, Worker};
use sutazai::{Error, Result, http};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Agent that waits and then appends a line to a file: a stand-in for slow work with external effects. After
/// a crash the effect may happen twice, by the lost attempt and by the next one; the outcome is recorded
/// once.
#[derive(Debug)]
struct Journal;

fn failed(e: std::io::Error) -> Error {
    Error::unavailable("the operation failed").with_source(e)
}

#[async_trait]
impl Agent for Journal {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: "journal".into(),
            description: "Adds a line to a file after some time.".into(),
            capabilities: vec!["files".into()],
            input_schema: json!({
                "type": "object",
                "properties": {
                    "file": { "type": "string" },
                    "seconds": { "type": "number", "minimum": 0, "maximum": 3600 }
                },
                "required": ["file", "seconds"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let payload = &context.task.payload;
        let (file, seconds) = (payload["file"].as_str(), payload["seconds"].as_f64());
        tokio::select! {
            () = context.clock.sleep(Duration::from_secs_f64(seconds.unwrap_or(1.0))) => {}
            () = context.cancellation.cancelled() => return Err(Error::cancelled("the task was cancelled")),
        }
        let line = format!("{} {} {}\n", context.task.id, context.task.attempt, std::process::id());
        let file = OpenOptions::new().append(true).create(true).open(file.unwrap_or("journal"));
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(failed)?;
        Ok(Step::Done(json!({ "process": std::process::id() })))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut stop = signal(SignalKind::terminate()).map_err(failed)?;
    let stopped = async move {
        stop.recv().await;
    };
    match std::env::args().nth(1).as_deref() {
        Some("serve") => {
            let config = Config { workers: 0, ..Config::from_env()? };
            let service = Service::open_with(&config, |builder| builder.agent(Arc::new(Journal))).await?;
            let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
            service.start();
            eprintln!("server listening on {}", config.listen);
            http::serve(listener, http::router(service.app()), stopped).await?;
            service.shutdown(config.shutdown_grace).await;
        }
        Some("worker") => {
            let config = Config::worker_from_env()?;
            let worker = Worker::open_with(&config, |builder| builder.agent(Arc::new(Journal))).await?;
            worker.start();
            eprintln!("worker started as {}", worker.engine().worker());
            stopped.await;
            worker.shutdown(config.shutdown_grace).await;
        }
        _ => return Err(Error::invalid("argument", "expected serve or worker")),
    }
    Ok(())
}
