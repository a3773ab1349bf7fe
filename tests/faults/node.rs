//! One process of the cluster: a server with or without workers, or workers only, as the `sutazai` binary
//! runs them, with an agent that records each of its runs. Its settings are environment variables, as those
//! of the binary are.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::config::Layers;
use sutazai::domain::{AgentDescriptor, NewTask, Step, TaskId};
use sutazai::ports::{Agent, AgentContext};
use sutazai::setup::{Service, Worker};
use sutazai::{Error, Result, http};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Environment variable that makes a process a node: `serve` or `worker`.
pub(crate) const ROLE: &str = "SUTAZAI_FAULTS_ROLE";
/// Environment variable with the folder of the file to which each run of the agent appends a line.
pub(crate) const FOLDER: &str = "SUTAZAI_FAULTS_FOLDER";
/// Environment variable with the name of the process.
pub(crate) const NAME: &str = "SUTAZAI_FAULTS_NAME";
/// Name of the agent.
pub(crate) const AGENT: &str = "stamp";
/// File in the folder with a line per run.
const TRACES: &str = "traces";

/// One recorded run of the agent.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) task: TaskId,
    pub(crate) attempt: u64,
    /// Name of the process that ran it.
    pub(crate) node: String,
}

/// Reads all recorded runs in this folder.
pub(crate) fn traces(folder: &Path) -> Vec<Trace> {
    let text = std::fs::read_to_string(folder.join(TRACES)).unwrap_or_default();
    let of_line = |line: &str| {
        let [task, attempt, node] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a trace: {line}")
        };
        Trace { task: task.parse().unwrap(), attempt: attempt.parse().unwrap(), node: node.to_owned() }
    };
    text.lines().map(of_line).collect()
}

/// Ends this process when the one that started it ends.
pub(crate) fn end_with_the_driver() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
}

/// Runs the node until SIGTERM, or until the driver ends.
pub(crate) async fn run(role: &str) {
    end_with_the_driver();
    let layers = Layers::read(std::env::vars_os(), None, &[]);
    let config = if role == "serve" { layers.check() } else { layers.check_worker() }.unwrap();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false);
    log.with_env_filter(config.log_level.as_deref().unwrap_or("info")).init();
    let mut stopped = signal(SignalKind::terminate()).unwrap();
    let stopped = async move { stopped.recv().await.unwrap_or_default() };
    let (folder, name) = (PathBuf::from(std::env::var_os(FOLDER).unwrap()), std::env::var(NAME).unwrap());
    let traces = folder.join(TRACES);
    let stamp = Arc::new(Stamp { traces, name });
    if role == "serve" {
        let service =
            until_open(|| Service::open_with(&config, |builder| builder.agent(stamp.clone()))).await;
        let listener = TcpListener::bind(config.server.listen).await.unwrap();
        until_open(|| service.start()).await;
        http::serve_with(&config.server.connections, listener, http::router(service.app()), stopped)
            .await
            .unwrap();
        service.shutdown().await.unwrap();
    } else {
        let worker = until_open(|| Worker::open_with(&config, |builder| builder.agent(stamp.clone()))).await;
        until_open(|| worker.start()).await;
        stopped.await;
        worker.shutdown().await.unwrap();
    }
}

/// Retries while the database is unreachable. The binary would exit, and its supervisor would start it again.
async fn until_open<T>(open: impl AsyncFn() -> Result<T>) -> T {
    loop {
        match open().await {
            Ok(opened) => return opened,
            Err(e) => eprintln!("not started yet: {e}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Agent that appends a line with task, attempt and process to a file at each run, then follows its payload.
#[derive(Debug)]
struct Stamp {
    traces: PathBuf,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Payload {
    n: u64,
    /// Duration of its work in milliseconds.
    work_ms: u64,
    /// Number of attempts that fail first.
    #[serde(default)]
    fail: u32,
    /// Makes every attempt fail.
    #[serde(default)]
    doomed: bool,
    /// Number of child tasks that it waits for.
    #[serde(default)]
    children: u64,
}

#[async_trait]
impl Agent for Stamp {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new(AGENT, "Records each run.")
            .capabilities(["test"])
            .input_schema(json!({ "type": "object", "required": ["n", "work_ms"] }))
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let task = &context.task;
        let payload: Payload = context.payload()?;
        self.trace(&format!("{} {} {}\n", task.id, task.attempt, self.name))?;
        // Every other parent runs again whenever one more child has ended, and counts the ended ones in its state.
        let step = if payload.n.is_multiple_of(2) { Step::wait_for_any } else { Step::wait_for_all };
        if payload.children > 0 && context.children.is_empty() {
            let child = |n| NewTask {
                max_attempts: Some(100),
                ..NewTask::new(AGENT, json!({ "n": n, "work_ms": 1 }))
            };
            return Ok(step((0..payload.children).map(child).collect(), json!(0)));
        }
        let ended = context.children.iter().filter(|child| child.result.is_some()).count();
        let ended = ended as u64 + task.state.as_ref().and_then(Value::as_u64).unwrap_or_default();
        if context.children.iter().any(|child| !child.status.has_ended()) {
            return Ok(step(Vec::new(), json!(ended)));
        }
        context.progress(0.5, "halfway");
        let work = context.clock.sleep(Duration::from_millis(payload.work_ms));
        if context.cancellation.run_until_cancelled(work).await.is_none() {
            return Err(Error::cancelled("the task was cancelled"));
        }
        if payload.doomed {
            return Err(Error::invalid("n", "this task fails permanently"));
        }
        if task.failures < payload.fail {
            return Err(Error::unavailable("not yet"));
        }
        Ok(Step::Done(json!({ "square": payload.n * payload.n, "children": ended })))
    }
}

impl Stamp {
    /// Writes the line in one call, so that lines of several processes never mix.
    fn trace(&self, line: &str) -> Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(&self.traces);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|e| Error::unavailable(format!("cannot write to {}: {e}", self.traces.display())))
    }
}
