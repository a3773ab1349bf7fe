//! Servers that only take tasks and processes that only do them, with an agent of one's own in both.
//!
//! Run it, with one `DATABASE_URL` for both: `cargo run --example 07_own_processes serve`, and as often as you like
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

/// Works for a while, then adds a line to a file: stands for whatever takes its time and is seen outside. What it does
/// may be done twice, by somebody who died and by who took over; that it is done is recorded once.
#[derive(Debug)]
struct Journal;

fn failed(e: std::io::Error) -> Error {
    Error::unavailable("not this time").with_source(e)
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
            () = context.cancellation.cancelled() => return Err(Error::cancelled("asked to stop")),
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
            eprintln!("listening on {}", config.listen);
            http::serve(listener, http::router(service.app()), stopped).await?;
            service.shutdown(config.shutdown_grace).await;
        }
        Some("worker") => {
            let config = Config::worker_from_env()?;
            let worker = Worker::open_with(&config, |builder| builder.agent(Arc::new(Journal))).await?;
            worker.start();
            eprintln!("working as {}", worker.engine().worker());
            stopped.await;
            worker.shutdown(config.shutdown_grace).await;
        }
        _ => return Err(Error::invalid("argument", "expected serve or worker")),
    }
    Ok(())
}
