//! An agent, and the only way out it has: its context.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

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

/// Longest that one source is waited for. Those that are built in give up a little earlier, with a reason of their own.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(4);

/// Measures with all sources side by side, each in a task of its own. A source that fails, panics, or takes longer than 4 s
/// leaves its section missing with the reason.
pub async fn collect_snapshot(sources: &[Arc<dyn MetricSource>], clock: &dyn Clock) -> Snapshot {
    let collect = |source: &Arc<dyn MetricSource>| {
        let source = source.clone();
        // Ended when it is dropped: a source that hangs is not left to run.
        AbortOnDropHandle::new(tokio::spawn(async move { source.collect().await }))
    };
    let running: Vec<_> = sources.iter().map(collect).collect();
    let parts = join_all(running.into_iter().map(|part| async move {
        match tokio::time::timeout(SOURCE_TIMEOUT, part).await {
            Ok(Ok(part)) => part,
            Ok(Err(e)) => Err(Error::internal("the source panicked").with_source(e)),
            Err(_) => Err(Error::unavailable(format!("no answer within {SOURCE_TIMEOUT:?}"))),
        }
    }))
    .await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SnapshotPart;
    use crate::ports::SystemClock;

    #[derive(Debug)]
    struct Source(&'static str);

    #[async_trait]
    impl MetricSource for Source {
        fn name(&self) -> &str {
            self.0
        }

        async fn collect(&self) -> Result<SnapshotPart> {
            match self.0 {
                "hangs" => std::future::pending().await,
                "panics" => panic!("a bug"),
                name => Ok(SnapshotPart::Custom(name.to_owned(), 7.into())),
            }
        }
    }

    #[tokio::test]
    async fn a_source_that_hangs_or_panics_costs_its_own_section_only() {
        let sources: Vec<Arc<dyn MetricSource>> =
            ["hangs", "panics", "good"].map(|name| Arc::new(Source(name)) as _).into();
        let snapshot = collect_snapshot(&sources, &SystemClock).await;
        let section = |name: &str| match &snapshot.custom[name] {
            Section::Present { value } => value.to_string(),
            Section::Missing { reason } => reason.clone(),
        };
        assert!(section("hangs").contains("no answer within 4s"), "{}", section("hangs"));
        assert!(section("panics").contains("the source panicked"), "{}", section("panics"));
        assert_eq!(section("good"), "7");
    }
}
