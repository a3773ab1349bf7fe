//! Requests about tasks of the engine.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use sutazai::domain::{
    Caller, EventLogEntry, NewTask, PageRequest, Task, TaskId, TaskQuery, TaskStatus, TraceContext, UserId,
    UserRole,
};
use sutazai::external::chrono::{DateTime, Utc};
use sutazai::external::futures::{StreamExt, TryStreamExt};
use sutazai::ports::SilentTracer;
use sutazai::{Error, Result, trace};
use tracing::Span;

use super::{Answer, Id, PageBody, answer, id, nothing, page};
use crate::failure::ended_without_result;
use crate::local::{Local, seconds};
use crate::stream::Items;

/// Maximum number of events in one answer.
const MAX_EVENTS: usize = 256;

#[derive(Debug, Deserialize)]
pub(super) struct Submit {
    tasks: Vec<NewTask>,
    /// Owner of the task whose agent submits; `None` for the program itself.
    #[serde(default)]
    owner: Option<UserId>,
    /// Span of the program that submits.
    #[serde(default)]
    traceparent: Option<String>,
}

pub(super) async fn submit(local: &Local, body: Submit) -> Answer {
    let caller = match body.owner {
        // The role decides only on administration, which no agent does for the owner of its task.
        Some(id) => Caller::User { id, role: UserRole::User },
        None => local.caller.clone(),
    };
    let submission = local.engine().submit_all_as(&caller, body.tasks);
    let tasks = match body.traceparent.as_deref().and_then(TraceContext::from_traceparent) {
        Some(place) => trace::run(Arc::new(SilentTracer), Span::none(), place, submission).await?,
        None => submission.await?,
    };
    answer(&tasks.iter().map(|task| task.id).collect::<Vec<_>>())
}

pub(super) async fn get(local: &Local, body: Id) -> Answer {
    answer(&local.engine().task(&local.caller, task_id(&body)?).await?)
}

#[derive(Debug, Deserialize)]
pub(super) struct List {
    status: Option<TaskStatus>,
    agent: Option<String>,
    parent: Option<String>,
    created_after: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
    #[serde(flatten)]
    page: PageBody,
}

pub(super) async fn list(local: &Local, body: List) -> Answer {
    let query = TaskQuery {
        statuses: body.status.into_iter().collect(),
        agent: body.agent,
        parent: body.parent.as_deref().map(|parent| id("task", parent)).transpose()?,
        created_after: body.created_after,
        created_before: body.created_before,
        page: body.page.request()?,
        ..TaskQuery::default()
    };
    page(local.engine().tasks(&local.caller, query).await?)
}

#[derive(Debug, Deserialize)]
pub(super) struct Wait {
    #[serde(flatten)]
    id: Id,
    timeout: Option<f64>,
}

async fn ended(local: &Local, body: &Wait) -> Result<Task> {
    let id = task_id(&body.id)?;
    let mut waiter = local.ended.wait_for([id]);
    let waiting = waiter.next(local.engine(), &local.caller);
    let task = within(body.timeout, waiting).await?;
    task.ok_or_else(|| Error::internal(format!("the wait for task {id} ended without it")))
}

/// Waits for an end for at most `timeout` seconds.
///
/// # Errors
/// `Timeout` after that time.
pub(crate) async fn within<T>(timeout: Option<f64>, waiting: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(limit) = timeout.map(seconds).transpose()? else { return waiting.await };
    let late = |limit: Duration| Error::timeout(format!("the task did not end within {limit:?}"));
    tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| Err(late(limit)))
}

pub(super) async fn wait(local: &Local, body: Wait) -> Answer {
    answer(&ended(local, &body).await?)
}

pub(super) async fn result(local: &Local, body: Wait) -> Answer {
    let task = ended(local, &body).await?;
    match task.status {
        TaskStatus::Completed => answer(&task.result),
        _ => Err(ended_without_result(task.status, &task)),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Events {
    #[serde(flatten)]
    id: Id,
    after: u64,
}

/// Returns the next events, at least one; none after the last. A reader that pauses holds nothing here.
pub(super) async fn events(local: &Local, body: Events) -> Answer {
    let events = local.engine().events(&local.caller, task_id(&body.id)?, body.after).await?;
    let mut events = events.ready_chunks(MAX_EVENTS);
    let chunk = events.next().await.unwrap_or_default();
    answer(&chunk.into_iter().collect::<Result<Vec<_>>>()?)
}

#[derive(Debug, Deserialize)]
pub(super) struct Messages {
    #[serde(flatten)]
    id: Id,
    #[serde(flatten)]
    page: PageBody,
}

pub(super) async fn messages(local: &Local, body: Messages) -> Answer {
    let request: PageRequest<u64> = body.page.request()?;
    let found = local.engine().agent_messages(&local.caller, task_id(&body.id)?, request).await?;
    page(found)
}

pub(super) async fn cancel(local: &Local, body: Id) -> Answer {
    answer(&local.engine().cancel(&local.caller, task_id(&body)?).await?)
}

pub(super) async fn retry(local: &Local, body: Id) -> Answer {
    answer(&local.engine().retry(&local.caller, task_id(&body)?).await?)
}

pub(super) async fn delete(local: &Local, body: Id) -> Answer {
    local.engine().delete(&local.caller, task_id(&body)?).await?;
    nothing()
}

#[derive(Debug, Deserialize)]
pub(super) struct RetryFailed {
    agent: Option<String>,
}

pub(super) async fn retry_failed(local: &Local, body: RetryFailed) -> Answer {
    answer(&local.engine().retry_failed(&local.caller, body.agent).await?)
}

pub(super) async fn statistics(local: &Local) -> Answer {
    answer(&local.engine().statistics(&local.caller, None).await?.counts)
}

pub(super) async fn backlog(local: &Local) -> Answer {
    let backlog = local.engine().backlog().await?;
    let now = local.engine().clock().now();
    answer(&json!({ "tasks": backlog.tasks, "oldest": backlog.oldest.filter(|due| *due <= now) }))
}

#[derive(Debug, Deserialize)]
pub(super) struct CreateWatch {
    ids: Vec<String>,
}

pub(super) fn create_watch(local: &Local, body: CreateWatch) -> Answer {
    let ids: Vec<TaskId> = body.ids.iter().map(|text| id("task", text)).collect::<Result<_>>()?;
    answer(&local.watches.add(local.ended.wait_for(ids)))
}

#[derive(Debug, Deserialize)]
pub(super) struct Watch {
    watch: u64,
    #[serde(default)]
    timeout: Option<f64>,
}

/// Returns the next ended task of a watch, or null after the last.
pub(super) async fn next_of_watch(local: &Local, body: Watch) -> Answer {
    let waiter = local.watches.get(body.watch)?;
    let mut waiter = waiter.lock().await;
    answer(&within(body.timeout, waiter.next(local.engine(), &local.caller)).await?)
}

pub(super) fn delete_watch(local: &Local, body: Watch) -> Answer {
    local.watches.remove(body.watch);
    nothing()
}

fn task_id(body: &Id) -> Result<TaskId> {
    id("task", &body.id)
}

#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    after: Option<String>,
}

/// Opens the event log of all tasks after a position, or from now on.
pub(super) async fn feed(local: &Local, body: Feed) -> Result<Items> {
    let unknown = |_| Error::invalid("after", "expected the position of an event, unchanged");
    let after = body.after.as_deref().map(str::parse).transpose().map_err(unknown)?;
    let log = local.engine().event_log(&local.caller, after).await?;
    let view = |entry: Arc<EventLogEntry>| json!({ "position": entry.position.to_string(), "owner": entry.owner, "event": entry.event });
    Ok(log.events.map_ok(view).boxed())
}
