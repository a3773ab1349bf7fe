//! Event stream of one task: stored events, then new ones, woken by the store.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::domain::{Task, TaskEvent, TaskId};
use crate::error::{Error, Result};
use crate::ports::{Clock, EventLog, TaskRecords, WakeUp};

/// Events of one task, in ascending order of their sequence.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<TaskEvent>> + Send>>;

/// Interval at which readers poll, for wake-ups that were lost or sent in another process.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Number of events read from the store at once.
const PAGE_SIZE: u32 = 256;

struct Following {
    records: Arc<dyn TaskRecords>,
    events: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    wake_ups: broadcast::Receiver<WakeUp>,
    task: TaskId,
    after: u64,
    read: VecDeque<TaskEvent>,
}

/// Streams the events above `after`, then new ones, until the task has ended and its last event was returned.
pub(crate) fn stream(
    (records, events): (Arc<dyn TaskRecords>, Arc<dyn EventLog>),
    clock: Arc<dyn Clock>,
    task: TaskId,
    after: u64,
) -> EventStream {
    // Subscribed before the first read, so that no event written in between is missed.
    let wake_ups = events.subscribe();
    let following = Following { records, events, clock, wake_ups, task, after, read: VecDeque::new() };
    Box::pin(stream::try_unfold(following, |mut following| async move {
        Ok(following.next().await?.map(|event| (event, following)))
    }))
}

impl Following {
    async fn next(&mut self) -> Result<Option<TaskEvent>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.sequence;
                return Ok(Some(event));
            }
            // The status is read before the events: if the task had ended by then, its last event is among them.
            let ended = self.records.get(self.task).await?.is_none_or(|task| task.status.has_ended());
            self.read.extend(self.events.events_after(self.task, self.after, PAGE_SIZE).await?);
            if self.read.is_empty() {
                if ended {
                    return Ok(None);
                }
                let task = self.task;
                woken(&mut self.wake_ups, self.clock.as_ref(), |id| id == task).await;
            }
        }
    }
}

/// Waits until the task has ended and returns it.
pub(crate) async fn wait_for_end(
    (records, events): (&dyn TaskRecords, &dyn EventLog),
    clock: &dyn Clock,
    id: TaskId,
) -> Result<Task> {
    let mut wake_ups = events.subscribe();
    loop {
        let task = records.get(id).await?.ok_or_else(|| Error::not_found(format!("task {id}")))?;
        if task.status.has_ended() {
            return Ok(task);
        }
        woken(&mut wake_ups, clock, |task| task == id).await;
    }
}

/// Waits until there may be new events of a relevant task, at most [`POLL_INTERVAL`].
pub(crate) async fn woken(
    wake_ups: &mut broadcast::Receiver<WakeUp>,
    clock: &dyn Clock,
    is_relevant: impl Fn(TaskId) -> bool,
) {
    let heard = async {
        loop {
            match wake_ups.recv().await {
                Ok(WakeUp::Task(task)) if is_relevant(task) => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = heard => {}
        () = clock.sleep(POLL_INTERVAL) => {}
    }
}
