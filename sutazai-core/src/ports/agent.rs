//! An agent, and the only way out it has: its context.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Clock, MetricSource, MetricStore, ModelBackend};
use crate::domain::{AgentDescriptor, EventKind, NewEvent, Permission, Section, Snapshot, Step, Task};
use crate::error::{Error, Result};

/// Something that does tasks.
///
/// # Contract
/// - Its descriptor has a name in kebab case, at least one capability and an input schema that is a valid JSON Schema.
/// - A payload that does not fit the schema never reaches `run`.
/// - `run` ends soon after the context is cancelled.
/// - It names the permissions that its run needs, the same ones each time for the same payload.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Agent: Debug + Send + Sync + 'static {
    /// What it says of itself; does not change.
    fn descriptor(&self) -> AgentDescriptor;

    /// Permissions that its caller needs for a task with this payload, which fits the schema: those for all that the run
    /// reads and uses, and for all tasks that it waits for. The context has models only with [`Permission::UseModels`] and
    /// metrics only with [`Permission::ReadMetrics`], and a child that needs more than this fails the task.
    fn permissions(&self, payload: &Value) -> Vec<Permission> {
        let _ = payload;
        vec![Permission::WriteTasks]
    }

    /// One step of a task: its payload is `context.task.payload`. It may be run again from the start after a
    /// crash, so what it does elsewhere must bear being done twice.
    async fn run(&self, context: &AgentContext) -> Result<Step>;
}

/// Where an agent's progress and text go; the worker batches them into the store.
pub trait EventSink: Debug + Send + Sync + 'static {
    /// Takes an event; never waits.
    fn emit(&self, event: NewEvent);
}

/// What an agent may use.
#[derive(Debug, Clone)]
pub struct AgentContext {
    /// The task.
    pub task: Task,
    /// The ended children it waited for, in the order in which it asked for them.
    pub children: Vec<Task>,
    /// Where text comes from; none when no model is configured, or the agent did not name the permission to use one.
    pub model: Option<Arc<dyn ModelBackend>>,
    /// Where metrics come from; none when the agent did not name the permission to read them.
    pub metric_sources: Vec<Arc<dyn MetricSource>>,
    /// Metrics of before; none when no history is kept, or the agent did not name the permission to read them.
    pub metric_store: Option<Arc<dyn MetricStore>>,
    /// Name of this machine: the host of its samples and of analyses.
    pub host: String,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Fires when somebody asked for the task to stop, its time ran out or its lease is lost.
    pub cancellation: CancellationToken,
    /// Where progress and text go.
    pub events: Arc<dyn EventSink>,
}

impl AgentContext {
    /// Reports how far the task is: 0.0 to 1.0, and what it is doing now.
    pub fn progress(&self, fraction: f32, message: impl Into<String>) {
        self.emit(EventKind::Progress { fraction: fraction.clamp(0.0, 1.0), message: message.into() });
    }

    /// Passes on text as a model writes it.
    pub fn text(&self, text: impl Into<String>) {
        self.emit(EventKind::Text { text: text.into() });
    }

    /// An error once the task is to stop; call it between pieces of work.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check_cancelled(&self) -> Result<()> {
        if self.cancellation.is_cancelled() {
            Err(Error::cancelled("the task was asked to stop"))
        } else {
            Ok(())
        }
    }

    /// Measures everything at once. A source that has nothing here leaves its section missing with the reason.
    pub async fn snapshot(&self) -> Snapshot {
        collect_snapshot(&self.metric_sources, self.clock.as_ref()).await
    }

    fn emit(&self, kind: EventKind) {
        self.events.emit(NewEvent { at: self.clock.now(), kind });
    }
}

/// Measures with all sources side by side. A source that fails leaves its section missing with the reason.
pub async fn collect_snapshot(sources: &[Arc<dyn MetricSource>], clock: &dyn Clock) -> Snapshot {
    let parts = join_all(sources.iter().map(|source| source.collect())).await;
    let mut snapshot = Snapshot::empty(clock.now());
    for (source, part) in sources.iter().zip(parts) {
        match part {
            Ok(part) => snapshot.add(part),
            Err(e) => {
                let reason = e.to_string();
                match source.name() {
                    "host" => snapshot.host = Section::missing(reason),
                    "pressure" => snapshot.pressure = Section::missing(reason),
                    "cgroup" => snapshot.cgroup = Section::missing(reason),
                    "containers" => snapshot.containers = Section::missing(reason),
                    "gpus" => snapshot.gpus = Section::missing(reason),
                    other => {
                        snapshot.custom.insert(other.to_owned(), Section::missing(reason));
                    }
                }
            }
        }
    }
    snapshot
}
