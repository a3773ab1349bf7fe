//! Agent liveness: each process records heartbeats of its agents in the [`AgentStore`](crate::ports::AgentStore) and,
//! if there is one, in a [`Cache`](crate::ports::Cache), which saves other processes queries to the store.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use crate::domain::AgentStatus;
use crate::engine::shared::{Parts, Shared};
use crate::error::{Error, Result};

/// Time after the last heartbeat during which an agent counts as online.
const ONLINE_TIMEOUT: TimeDelta = TimeDelta::seconds(60);
/// Time to live of a heartbeat in the cache.
const CACHE_TTL: Duration = Duration::from_secs(60);
/// Interval of the heartbeats: within the 60 s of [`ONLINE_TIMEOUT`] two may be lost.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// Returns the liveness of each agent of the registry; `None` if it cannot be determined.
pub(crate) async fn read(shared: &Shared) -> Option<Vec<AgentStatus>> {
    let now = shared.parts.clock.now();
    let status = |last_seen_at: Option<DateTime<Utc>>| AgentStatus {
        online: last_seen_at.is_some_and(|seen| now - seen < ONLINE_TIMEOUT),
        last_seen_at,
    };
    Some(last_heartbeats(shared, &shared.parts.registry.names()).await?.into_iter().map(status).collect())
}

/// Returns the last heartbeat of each of these agents.
async fn last_heartbeats(shared: &Shared, agents: &[String]) -> Option<Vec<Option<DateTime<Utc>>>> {
    let cached = cached(shared, agents).await;
    match &shared.parts.agent_store {
        // A miss in the cache proves nothing, because it evicts; only the store does not.
        Some(store) if cached.as_ref().is_none_or(|seen| seen.contains(&None)) => {
            store.last_heartbeats(agents).await.ok().or(cached)
        }
        _ => cached,
    }
}

/// Returns the heartbeats found in the cache; `None` without a cache, or if it cannot be reached.
async fn cached(shared: &Shared, agents: &[String]) -> Option<Vec<Option<DateTime<Utc>>>> {
    let cache = shared.parts.cache.as_ref()?;
    let seen = agents.iter().map(async |agent| {
        let kept = cache.get(&key(agent)).await?;
        Ok::<_, Error>(kept.and_then(|kept| kept.parse().ok()))
    });
    join_all(seen).await.into_iter().collect::<Result<_>>().ok()
}

/// Records heartbeats of this process's agents until the engine closes.
pub(crate) async fn record_heartbeats(shared: Arc<Shared>) {
    let parts = &shared.parts;
    if parts.agent_store.is_none() && parts.cache.is_none() {
        return;
    }
    let signs = async {
        loop {
            record_heartbeat(parts).await;
            parts.clock.sleep(HEARTBEAT_INTERVAL).await;
        }
    };
    shared.closing.run_until_cancelled(signs).await;
}

async fn record_heartbeat(parts: &Parts) {
    let (agents, now) = (parts.registry.names(), parts.clock.now());
    // Transient errors are logged by the store itself, and the next heartbeat follows within 20 s.
    if let Some(store) = &parts.agent_store
        && let Err(e) = store.record_heartbeats(&agents, now).await
        && !e.kind().is_transient()
    {
        tracing::warn!(error = %e, "recording agent heartbeats failed");
    }
    if let Some(cache) = &parts.cache {
        for agent in &agents {
            let _ = cache.put(&key(agent), &now.to_rfc3339(), CACHE_TTL).await;
        }
    }
}

fn key(agent: &str) -> String {
    format!("agent:status:{agent}")
}
