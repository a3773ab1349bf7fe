//! Agent port, and the context through which an agent reaches everything outside of itself.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Clock, EventSink, MetricSource, MetricStore, ModelBackend};
use crate::domain::analysis_budget::SNAPSHOT_TIMEOUT;
use crate::domain::{
    AgentDescriptor, EventKind, Finding, LOCAL_HOST, NewEvent, Permission, Section, Snapshot, Step, Task,
};
use crate::error::{Error, Result};

/// An agent that runs tasks.
///
/// # Contract
/// - Its descriptor has a name in kebab case, at least one capability and an input schema that is a valid JSON Schema;
///   an output schema, if it has one, is valid too.
/// - A payload that does not fit the input schema never reaches `run`.
/// - A result that does not fit the output schema is never recorded: the attempt fails with an `Internal` error.
/// - `run` ends soon after the context is cancelled.
/// - `permissions` names what a run needs, and always returns the same for the same payload.
///
/// # Examples
///
/// ```
/// use async_trait::async_trait;
/// use serde_json::{Value, json};
/// use sutazai_core::Result;
/// use sutazai_core::domain::{AgentDescriptor, Step};
/// use sutazai_core::engine::Engine;
/// use sutazai_core::ports::{Agent, AgentContext};
///
/// /// Adds up the results of its children.
/// #[derive(Debug)]
/// struct Totals;
///
/// #[async_trait]
/// impl Agent for Totals {
///     fn descriptor(&self) -> AgentDescriptor {
///         AgentDescriptor::new("totals", "Counts the words of many texts.")
///     }
///
///     async fn run(&self, context: &AgentContext) -> Result<Step> {
///         context.check_cancelled()?;
///         context.progress(0.5, "adding");
///         let sum: u64 = context.children.iter().filter_map(|child| child.result.as_ref()?.as_u64()).sum();
///         Ok(Step::Done(json!({ "words": sum })))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let engine = Engine::builder().agent(Totals).start().await?;
/// let result: Value = engine.submit("totals", json!({})).await?.output().await?;
/// assert_eq!(result, json!({ "words": 0 }));
/// engine.shutdown().await
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait Agent: Debug + Send + Sync + 'static {
    /// Describes the agent; the result never changes.
    fn descriptor(&self) -> AgentDescriptor;

    /// Permissions that the caller needs for a task with this payload, which fits the schema: for everything that the
    /// run reads and uses, and for all tasks that it waits for. The context offers models only with
    /// [`Permission::UseModels`] and metrics only with [`Permission::ReadMetrics`]; a child that needs other
    /// permissions fails the task.
    fn permissions(&self, payload: &Value) -> Vec<Permission> {
        let _ = payload;
        vec![Permission::WriteTasks]
    }

    /// Runs one step of a task with the payload `context.task.payload`. After a crash it may run again from the start,
    /// so its external effects must be idempotent.
    ///
    /// # Errors
    /// Any; its kind decides on a retry. A transient error, `Misfit` or `Internal` is retried.
    ///
    /// # Cancel safety
    /// The engine drops the future 5 s after it has cancelled [`AgentContext::cancellation`], sooner when the lease
    /// is lost.
    async fn run(&self, context: &AgentContext) -> Result<Step>;
}

#[async_trait]
impl<A: Agent + ?Sized> Agent for Arc<A> {
    fn descriptor(&self) -> AgentDescriptor {
        self.as_ref().descriptor()
    }

    fn permissions(&self, payload: &Value) -> Vec<Permission> {
        self.as_ref().permissions(payload)
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        self.as_ref().run(context).await
    }
}

/// Inputs and services of one run of an agent.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use sutazai_core::Result;
/// use sutazai_core::ports::AgentContext;
///
/// /// Copies files, reports how far it is, and stops when it is asked to.
/// async fn copy(files: BTreeMap<String, String>, context: AgentContext) -> Result<usize> {
///     for (done, (from, to)) in files.iter().enumerate() {
///         context.check_cancelled()?;
///         context.progress(done as f32 / files.len() as f32, format!("{from} to {to}"));
///     }
///     Ok(files.len())
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AgentContext {
    /// The task that is run.
    pub task: Task,
    /// The children that the task last waited for, in the order of their submission. All have ended, unless it waited until
    /// any had ([`WaitUntil::Any`](crate::domain::WaitUntil)).
    pub children: Vec<Task>,
    /// Model backend; `None` if none is configured, or if the agent did not name the permission to use models.
    pub model: Option<Arc<dyn ModelBackend>>,
    /// Metric sources; empty if the agent did not name the permission to read metrics.
    pub metric_sources: Vec<Arc<dyn MetricSource>>,
    /// Metric history; `None` if none is kept, or if the agent did not name the permission to read metrics.
    pub metric_store: Option<Arc<dyn MetricStore>>,
    /// Name of this machine, used as the host of its samples and analyses.
    pub host: String,
    /// Clock of the engine.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when a caller cancels the task, its time limit is exceeded or its lease is lost.
    pub cancellation: CancellationToken,
    /// Receiver of progress and text.
    pub events: Arc<dyn EventSink>,
}

impl AgentContext {
    /// Creates the context of a run outside of an engine: without a model, metrics and history, on [`LOCAL_HOST`]. The
    /// fields are public, so callers set what the agent needs.
    pub fn new(task: Task, clock: Arc<dyn Clock>, events: Arc<dyn EventSink>) -> Self {
        Self {
            task,
            children: Vec::new(),
            model: None,
            metric_sources: Vec::new(),
            metric_store: None,
            host: LOCAL_HOST.to_owned(),
            clock,
            cancellation: CancellationToken::new(),
            events,
        }
    }

    /// Deserializes the task's payload.
    ///
    /// # Errors
    /// `InvalidInput` naming `payload` if it is no `T`; an agent that returns this error is not run again.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.task.payload)
            .map_err(|e| Error::invalid("payload", format!("does not have the expected form: {e}")))
    }

    /// Reports progress: the completed share, clamped to 0.0 to 1.0, and the current activity.
    pub fn progress(&self, fraction: f32, message: impl Into<String>) {
        self.emit(EventKind::progress(fraction, message));
    }

    /// Works like [`AgentContext::progress`], and names the current stage in snake case, for programs.
    pub fn progress_of(&self, stage: &str, fraction: f32, message: impl Into<String>) {
        let (fraction, message) = (fraction.clamp(0.0, 1.0), message.into());
        self.emit(EventKind::Progress { fraction, message, stage: Some(stage.to_owned()) });
    }

    /// Reports a piece of text that a model has generated.
    pub fn text(&self, text: impl Into<String>) {
        self.emit(EventKind::text(text));
    }

    /// Reports a piece of text about the finding with this id.
    pub fn text_about(&self, finding_id: &str, text: impl Into<String>) {
        self.emit(EventKind::Text { text: text.into(), finding_id: Some(finding_id.to_owned()) });
    }

    /// Reports the findings of the rules, most severe first, before texts about them are written.
    pub fn findings(&self, findings: Vec<Finding>) {
        self.emit(EventKind::Findings { findings });
    }

    /// Returns an error once the task is cancelled; to be called between pieces of work.
    ///
    /// # Errors
    /// `Cancelled` if the cancellation token is cancelled.
    pub fn check_cancelled(&self) -> Result<()> {
        if self.cancellation.is_cancelled() {
            Err(Error::cancelled("the task was asked to stop"))
        } else {
            Ok(())
        }
    }

    /// Measures all sections concurrently. A section whose source fails is missing, with the reason.
    ///
    /// # Panics
    /// When it is polled outside of a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the measurements.
    pub async fn snapshot(&self) -> Snapshot {
        collect_snapshot(&self.metric_sources, self.clock.as_ref()).await
    }

    fn emit(&self, kind: EventKind) {
        self.events.emit(NewEvent { at: self.clock.now(), kind });
    }
}

/// Measures with all sources concurrently, each in a spawned task, within one deadline: 3.5 s from now
/// ([`SNAPSHOT_TIMEOUT`]). A source that fails, panics or does not meet it leaves its section missing, with the reason.
/// The built-in sources give up earlier, with a more specific reason.
///
/// # Panics
/// When it is polled outside of a Tokio runtime.
///
/// # Cancel safety
/// Dropping the future aborts the measurements.
pub async fn collect_snapshot(sources: &[Arc<dyn MetricSource>], clock: &dyn Clock) -> Snapshot {
    let collect = |source: &Arc<dyn MetricSource>| {
        let source = source.clone();
        // Aborted when it is dropped, so that a hanging source does not run on.
        AbortOnDropHandle::new(tokio::spawn(async move { source.collect().await }))
    };
    let running: Vec<_> = sources.iter().map(collect).collect();
    let parts = join_all(running.into_iter().map(|part| async move {
        match clock.timeout(SNAPSHOT_TIMEOUT, part).await {
            Some(Ok(part)) => part,
            Some(Err(e)) => Err(Error::internal("the source panicked").with_source(e)),
            None => Err(Error::unavailable(format!("no answer within {SNAPSHOT_TIMEOUT:?}"))),
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

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::SnapshotPart;
    use crate::testing::ManualClock;

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
                "panics" => unreachable!("a bug"),
                name => Ok(SnapshotPart::Custom(name.to_owned(), 7.into())),
            }
        }
    }

    #[tokio::test]
    async fn hanging_or_panicking_source_loses_only_its_section() {
        let sources: Vec<Arc<dyn MetricSource>> =
            ["hangs", "panics", "good"].map(|name| Arc::new(Source(name)) as _).into();
        let clock = ManualClock::new();
        let passing = async {
            loop {
                tokio::task::yield_now().await;
                clock.advance(Duration::from_secs(1));
            }
        };
        let snapshot = tokio::select! {
            snapshot = collect_snapshot(&sources, &clock) => snapshot,
            () = passing => unreachable!("time passes for ever"),
        };
        let section = |name: &str| match &snapshot.custom[name] {
            Section::Present { value } => value.to_string(),
            Section::Missing { reason } => reason.clone(),
        };
        assert!(section("hangs").contains("no answer within 3.5s"), "{}", section("hangs"));
        assert!(section("panics").contains("the source panicked"), "{}", section("panics"));
        assert_eq!(section("good"), "7");
    }
}
