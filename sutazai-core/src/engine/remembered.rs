//! What servers remember together in a [`Cache`](crate::ports::Cache), where there is one: tasks that have ended.
//!
//! An ended task changes no more, unless somebody retries or deletes it. Who does so leaves a mark in its place, for as
//! long as somebody may still want to add what they read before; whoever finds the mark asks the store.

use std::time::Duration;

use super::api::Shared;
use crate::domain::{Task, TaskId};
use crate::error::Result;

/// How long an ended task is remembered.
const RESULT_LIFE: Duration = Duration::from_secs(300);
/// Stands where a task must not be remembered.
const CHANGED: &str = "";

/// The task: as it is remembered, or from the store.
pub(super) async fn task(shared: &Shared, id: TaskId) -> Result<Option<Task>> {
    let store = &shared.parts.store;
    let Some(cache) = &shared.parts.cache else { return store.get(id).await };
    // A cache that fails has said so itself, and everything goes on without it.
    let kept = cache.get(&result_key(id)).await.ok().flatten();
    if let Some(task) = kept.as_deref().and_then(|kept| serde_json::from_str::<Task>(kept).ok()) {
        return Ok(Some(task));
    }
    let task = store.get(id).await?;
    if let Some(task) = task.as_ref().filter(|task| task.status.has_ended() && kept.is_none())
        && let Ok(text) = serde_json::to_string(task)
    {
        let _ = cache.add(&result_key(id), &text, RESULT_LIFE).await;
    }
    Ok(task)
}

/// Tells all servers that a task is not what it was.
pub(super) async fn changed(shared: &Shared, id: TaskId) {
    if let Some(cache) = &shared.parts.cache {
        let _ = cache.put(&result_key(id), CHANGED, RESULT_LIFE).await;
    }
}

fn result_key(id: TaskId) -> String {
    format!("task:result:{id}")
}
