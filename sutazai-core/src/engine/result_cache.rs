//! Shared read-through cache of ended tasks, in a [`Cache`](crate::ports::Cache) if the engine has one.
//!
//! An ended task changes only if it is retried or deleted. Either writes a tombstone in its place, which lasts as long
//! as another server may still want to add an outdated copy; a reader that finds the tombstone queries the store.

use std::time::Duration;

use super::shared::Parts;
use crate::domain::{Task, TaskId};
use crate::error::Result;

/// Time to live of a cached task and of a tombstone.
const RESULT_TTL: Duration = Duration::from_secs(300);
/// Tombstone: this task must not be cached.
const TOMBSTONE: &str = "";

/// Returns the task from the cache or from the store.
pub(crate) async fn task(parts: &Parts, id: TaskId) -> Result<Option<Task>> {
    let records = &parts.records;
    let Some(cache) = &parts.cache else { return records.get(id).await };
    // A failing cache logs its errors itself, and everything works without it.
    let cached = cache.get(&result_key(id)).await.ok().flatten();
    if let Some(task) = cached.as_deref().and_then(|cached| serde_json::from_str::<Task>(cached).ok()) {
        return Ok(Some(task));
    }
    let task = records.get(id).await?;
    if let Some(task) = task.as_ref().filter(|task| task.status.has_ended() && cached.is_none())
        && let Ok(text) = serde_json::to_string(task)
    {
        let _ = cache.add(&result_key(id), &text, RESULT_TTL).await;
    }
    Ok(task)
}

/// Invalidates the cached task on all servers, before it is changed.
pub(crate) async fn changed(parts: &Parts, id: TaskId) {
    if let Some(cache) = &parts.cache {
        let _ = cache.put(&result_key(id), TOMBSTONE, RESULT_TTL).await;
    }
}

fn result_key(id: TaskId) -> String {
    format!("task:result:{id}")
}
