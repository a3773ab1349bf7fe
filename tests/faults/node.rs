//! One process of the cluster: a server with or without workers, or workers only, as the `sutazai` binary runs them,
//! with the agent that leaves traces. Its settings are environment variables, as the binary's are.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::config::Layers;
use sutazai::domain::{AgentDescriptor, NewTask, Step};
use sutazai::ports::{Agent, AgentContext};
use sutazai::setup::Service;
use sutazai::{Error, Result, http};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The variable that makes a process a node: `serve` or `worker`.
pub(crate) const ROLE: &str = "SUTAZAI_FAULTS_ROLE";
/// The file to which each run of the agent adds a line.
pub(crate) const TRACES: &str = "SUTAZAI_FAULTS_TRACES";
/// The agent's name.
pub(crate) const AGENT: &str = "stamp";
/// Short, so that many leases run out in one run.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Runs until SIGTERM, or until the driver is gone.
pub(crate) async fn run(role: &str) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let config = Layers::read(|name| std::env::var(name).ok(), None, &[]).check().unwrap();
    let traces = PathBuf::from(std::env::var_os(TRACES).unwrap());
    let logged = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false);
    logged.with_env_filter(config.log_level.as_deref().unwrap_or("info")).init();
    let mut stopped = signal(SignalKind::terminate()).unwrap();
    let opened = || Service::open_with(&config, |builder| builder.agent(Arc::new(Stamp(traces.clone()))).lease(LEASE));
    // The database may be away just now, which ends the binary: whoever runs it starts it again.
    let service = loop {
        match opened().await {
            Ok(service) => break service,
            Err(e) => eprintln!("not started yet: {e}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    service.start();
    if role == "serve" {
        let listener = TcpListener::bind(config.listen).await.unwrap();
        let stop = async move { stopped.recv().await.unwrap_or_default() };
        http::serve_with(&config.server, listener, http::router(service.app()), stop).await.unwrap();
    } else {
        stopped.recv().await;
    }
    service.shutdown(Duration::from_secs(5)).await;
}

/// Adds a line with its task and attempt to a file at each run, then does as the payload says.
#[derive(Debug)]
struct Stamp(PathBuf);

#[derive(Debug, Deserialize)]
struct Payload {
    n: u64,
    /// How long it takes.
    work_ms: u64,
    /// How often it fails before it does not.
    #[serde(default)]
    fail: u32,
    /// Whether it fails for good.
    #[serde(default)]
    doomed: bool,
    /// How many other tasks it needs.
    #[serde(default)]
    children: u64,
}

#[async_trait]
impl Agent for Stamp {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: AGENT.into(),
            description: "Leaves a trace of each run.".into(),
            capabilities: vec!["test".into()],
            input_schema: json!({ "type": "object", "required": ["n", "work_ms"] }),
        }
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let task = &context.task;
        let payload: Payload = serde_json::from_value(task.payload.clone())
            .map_err(|e| Error::invalid("payload", e.to_string()))?;
        self.trace(&format!("{} {}\n", task.id, task.attempt))?;
        if payload.children > 0 && context.children.is_empty() {
            let child = |n| NewTask { max_attempts: 100, ..NewTask::new(AGENT, json!({ "n": n, "work_ms": 1 })) };
            return Ok(Step::Wait { children: (0..payload.children).map(child).collect(), state: Value::Null });
        }
        context.progress(0.5, "half of it");
        let work = context.clock.sleep(Duration::from_millis(payload.work_ms));
        if context.cancellation.run_until_cancelled(work).await.is_none() {
            return Err(Error::cancelled("the task was asked to stop"));
        }
        if payload.doomed {
            return Err(Error::invalid("n", "this one fails for good"));
        }
        if task.failures < payload.fail {
            return Err(Error::unavailable("not yet"));
        }
        let of_children: Vec<_> = context.children.iter().filter_map(|child| child.result.as_ref()).collect();
        Ok(Step::Done(json!({ "square": payload.n * payload.n, "children": of_children.len() })))
    }
}

impl Stamp {
    /// One write for the line, so that those of several processes never mix.
    fn trace(&self, line: &str) -> Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(&self.0);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|e| Error::unavailable(format!("cannot write to {}: {e}", self.0.display())))
    }
}
