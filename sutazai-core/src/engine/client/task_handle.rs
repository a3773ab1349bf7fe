//! Handle of one task: what the program that submitted it does next.

use serde::de::DeserializeOwned;

use super::engine::Engine;
use crate::domain::{Caller, Task, TaskId, TaskStatus};
use crate::engine::events::stream::EventStream;
use crate::error::{Error, ErrorKind, Result};

/// A submitted task: waits for it, reads its output and events, or cancels it.
///
/// A handle is a reference: dropping it does not affect the task, and a clone refers to the same task.
///
/// # Cancel safety
/// Dropping a future does not affect the task, except that [`cancel`](Self::cancel) may have taken effect.
///
/// # Examples
///
/// ```
/// use futures::StreamExt;
/// use schemars::JsonSchema;
/// use serde::Deserialize;
/// use sutazai_core::Result;
/// use sutazai_core::domain::{EventKind, TaskStatus};
/// use sutazai_core::engine::Engine;
/// use sutazai_core::ports::AgentContext;
/// use sutazai_core::typed_agent::agent;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Steps {
///     steps: u32,
/// }
///
/// async fn walk(input: Steps, context: AgentContext) -> Result<u32> {
///     for step in 0..input.steps {
///         context.progress(step as f32 / input.steps as f32, "walking");
///     }
///     Ok(input.steps)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let engine = Engine::builder().agent(agent("walker", walk)).start().await?;
/// let task = engine.submit("walker", serde_json::json!({ "steps": 3 })).await?;
///
/// let mut events = task.events().await?;
/// let mut reports = 0;
/// while let Some(event) = events.next().await {
///     if let EventKind::Progress { .. } = event?.kind {
///         reports += 1;
///     }
/// }
/// assert_eq!(reports, 3);
/// assert_eq!(task.status().await?, TaskStatus::Completed);
/// assert_eq!(task.output::<u32>().await?, 3);
/// engine.shutdown().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TaskHandle {
    engine: Engine,
    caller: Caller,
    id: TaskId,
}

impl Engine {
    /// Returns a handle of the task with this id for the default caller. Whether the task exists is checked by the
    /// methods of the handle.
    pub fn handle(&self, id: TaskId) -> TaskHandle {
        self.handle_as(self.caller(), id)
    }

    /// Returns a handle of the task with this id for this caller, who sees only the tasks that they may see.
    pub fn handle_as(&self, caller: &Caller, id: TaskId) -> TaskHandle {
        TaskHandle { engine: self.clone(), caller: caller.clone(), id }
    }
}

impl TaskHandle {
    /// Returns the id of the task, with which [`Engine::handle`] creates a handle in another process.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Returns the task as it is stored now.
    ///
    /// # Errors
    /// `NotFound` if it was deleted, or the caller may not see it.
    pub async fn task(&self) -> Result<Task> {
        self.engine.task(&self.caller, self.id).await
    }

    /// Returns the status of the task.
    ///
    /// # Errors
    /// Those of [`task`](Self::task).
    pub async fn status(&self) -> Result<TaskStatus> {
        self.task().await.map(|task| task.status)
    }

    /// Waits until the task has ended and returns it.
    ///
    /// # Errors
    /// `NotFound`, also if it is deleted meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future does not affect the task; another call waits again.
    pub async fn wait(&self) -> Result<Task> {
        self.engine.wait(&self.caller, self.id).await
    }

    /// Waits until the task has ended and returns its result.
    ///
    /// # Errors
    /// The error of a failed task, with its kind and message; `Cancelled` for a cancelled task; `InvalidInput` naming
    /// `result` if the result is no `T`; and those of [`wait`](Self::wait).
    ///
    /// # Cancel safety
    /// That of [`wait`](Self::wait).
    pub async fn output<T: DeserializeOwned>(&self) -> Result<T> {
        let task = self.wait().await?;
        let id = self.id;
        match task.status {
            TaskStatus::Completed => serde_json::from_value(task.result.unwrap_or_default()).map_err(|e| {
                Error::invalid("result", format!("the result of task {id} is no such type: {e}"))
            }),
            TaskStatus::Cancelled => Err(Error::cancelled(format!("task {id} was cancelled"))),
            _ => {
                let (kind, why) = task
                    .error
                    .map_or((ErrorKind::Internal, "no error is stored".to_owned()), |e| (e.kind, e.message));
                Err(Error::new(kind, format!("task {id} failed: {why}")))
            }
        }
    }

    /// Streams the events of the task from its first on: the stored ones, then new ones. Ends after the last event of
    /// an ended task.
    ///
    /// # Errors
    /// Those of [`task`](Self::task).
    ///
    /// # Cancel safety
    /// Taking the next event can be cancelled at any time; no event is lost.
    pub async fn events(&self) -> Result<EventStream> {
        self.engine.events(&self.caller, self.id, 0).await
    }

    /// Cancels the task: a pending one ends at once, a running one as soon as its agent reacts.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` if it has already ended.
    ///
    /// # Cancel safety
    /// A dropped future may have cancelled the task, or may do so after the drop.
    pub async fn cancel(&self) -> Result<()> {
        self.engine.cancel(&self.caller, self.id).await.map(|_| ())
    }
}
