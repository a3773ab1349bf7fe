//! What servers remember together in a [`Cache`](crate::ports::Cache), where there is one: tasks that have ended, and
//! which agents somebody works for.
//!
//! An ended task changes no more, unless somebody retries or deletes it. Who does so leaves a mark in its place, for as
//! long as somebody may still want to add what they read before; whoever finds the mark asks the store.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;

use super::api::Shared;
use crate::domain::{Task, TaskId};
use crate::error::Result;

/// How long an ended task is remembered.
const RESULT_LIFE: Duration = Duration::from_secs(300);
/// How long an agent counts as worked for after the last sign of it.
const STATUS_LIFE: Duration = Duration::from_secs(60);
/// The time between two signs: two may be lost.
const STATUS_EVERY: Duration = Duration::from_secs(20);
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

/// When somebody was last seen to work for each of these agents; nothing where that cannot be told.
pub(super) async fn last_seen(shared: &Shared, agents: &[String]) -> Option<Vec<Option<DateTime<Utc>>>> {
    let cache = shared.parts.cache.as_ref()?;
    let seen = agents.iter().map(async |agent| {
        let kept = cache.get(&status_key(agent)).await?;
        Ok::<_, crate::error::Error>(kept.and_then(|kept| kept.parse().ok()))
    });
    join_all(seen).await.into_iter().collect::<Result<_>>().ok()
}

/// Gives signs that this process works for its agents, until it closes.
pub(super) async fn give_signs(shared: Arc<Shared>) {
    let Some(cache) = shared.parts.cache.clone() else { return };
    let agents = shared.parts.registry.names();
    loop {
        let now = shared.parts.clock.now().to_rfc3339();
        for agent in &agents {
            let _ = cache.put(&status_key(agent), &now, STATUS_LIFE).await;
        }
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = shared.parts.clock.sleep(STATUS_EVERY) => {}
        }
    }
}

fn result_key(id: TaskId) -> String {
    format!("task:result:{id}")
}

fn status_key(agent: &str) -> String {
    format!("agent:status:{agent}")
}
