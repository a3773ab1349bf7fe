//! Who works for which agent: processes that do give signs of it, in the [`AgentStore`](crate::ports::AgentStore) and, where
//! there is one, in a [`Cache`](crate::ports::Cache) that saves the others looking there.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::api::{Parts, Shared};
use crate::domain::AgentStatus;
use crate::error::{Error, Result};

/// How long an agent counts as worked for after the last sign of it.
const ONLINE: TimeDelta = TimeDelta::seconds(60);
/// As long as the cache remembers a sign.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The time between two signs: two may be lost.
const EVERY: Duration = Duration::from_secs(20);

/// Whether somebody works for each agent of the registry; nothing where that cannot be told.
pub(super) async fn read(shared: &Shared) -> Option<Vec<AgentStatus>> {
    let now = shared.parts.clock.now();
    let status = |last_seen_at: Option<DateTime<Utc>>| AgentStatus {
        online: last_seen_at.is_some_and(|seen| now - seen < ONLINE),
        last_seen_at,
    };
    Some(last_seen(shared, &shared.parts.registry.names()).await?.into_iter().map(status).collect())
}

/// When somebody was last seen to work for each of these agents.
async fn last_seen(shared: &Shared, agents: &[String]) -> Option<Vec<Option<DateTime<Utc>>>> {
    let remembered = remembered(shared, agents).await;
    match &shared.parts.agent_store {
        // The cache forgets, the store does not.
        Some(store) if remembered.as_ref().is_none_or(|seen| seen.contains(&None)) => {
            store.last_seen(agents).await.ok().or(remembered)
        }
        _ => remembered,
    }
}

/// What the cache remembers of that, where there is one that answers.
async fn remembered(shared: &Shared, agents: &[String]) -> Option<Vec<Option<DateTime<Utc>>>> {
    let cache = shared.parts.cache.as_ref()?;
    let seen = agents.iter().map(async |agent| {
        let kept = cache.get(&key(agent)).await?;
        Ok::<_, Error>(kept.and_then(|kept| kept.parse().ok()))
    });
    join_all(seen).await.into_iter().collect::<Result<_>>().ok()
}

/// Gives signs that this process works for its agents, until it closes.
pub(super) async fn give_signs(shared: Arc<Shared>) {
    let parts = &shared.parts;
    if parts.agent_store.is_none() && parts.cache.is_none() {
        return;
    }
    let signs = async {
        loop {
            give_sign(parts).await;
            parts.clock.sleep(EVERY).await;
        }
    };
    shared.closing.run_until_cancelled(signs).await;
}

async fn give_sign(parts: &Parts) {
    let (agents, now) = (parts.registry.names(), parts.clock.now());
    // What is away has said so itself, and the next sign comes soon.
    if let Some(store) = &parts.agent_store
        && let Err(e) = store.seen(&agents, now).await
        && !e.kind().is_temporary()
    {
        tracing::warn!(error = %e, "it could not be noted that this process works for its agents");
    }
    if let Some(cache) = &parts.cache {
        for agent in &agents {
            let _ = cache.put(&key(agent), &now.to_rfc3339(), REMEMBERED).await;
        }
    }
}

fn key(agent: &str) -> String {
    format!("agent:status:{agent}")
}
