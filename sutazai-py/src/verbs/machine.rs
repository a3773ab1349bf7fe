//! Requests about agents, metrics and the engine itself.

use serde::Deserialize;
use serde_json::json;
use sutazai::Error;
use sutazai::domain::{AgentDescriptor, AgentStatus, Permission};
use sutazai::external::chrono::{DateTime, Utc};

use super::{Answer, answer, nothing};
use crate::agent::Declaration;
use crate::local::Local;

pub(super) async fn agents(local: &Local) -> Answer {
    let statuses = local.engine().agent_statuses().await.unwrap_or_default();
    let statuses = statuses.into_iter().map(Some).chain(std::iter::repeat(None));
    let view = |(agent, status): (AgentDescriptor, Option<AgentStatus>)| {
        json!({
            "name": agent.name,
            "description": agent.description,
            "capabilities": agent.capabilities,
            "input_schema": agent.input_schema,
            "output_schema": agent.output_schema,
            "defaults": agent.defaults,
            "online": status.map(|status| status.online),
            "last_seen_at": status.and_then(|status| status.last_seen_at),
        })
    };
    answer(&local.engine().agents().into_iter().zip(statuses).map(view).collect::<Vec<_>>())
}

/// Adds an agent, or replaces the one with its name.
pub(super) fn register(local: &Local, declaration: Declaration) -> Answer {
    local.register(declaration)?;
    nothing()
}

/// Reports whether the store can be reached.
pub(super) async fn health(local: &Local) -> Answer {
    let store = match local.engine().ping_store().await {
        Ok(()) => "ok".to_owned(),
        Err(e) => e.to_string(),
    };
    let status = if store == "ok" { "healthy" } else { "unhealthy" };
    answer(&json!({ "status": status, "checks": { "database": store } }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Sections {
    sections: Vec<String>,
}

pub(super) async fn snapshot(local: &Local, body: Sections) -> Answer {
    local.engine().require(&local.caller, Permission::ReadMetrics)?;
    let sections: Vec<&str> = body.sections.iter().map(String::as_str).collect();
    let snapshot = match &sections[..] {
        [] => local.engine().snapshot().await,
        some => local.engine().snapshot_of(some).await,
    };
    answer(&snapshot)
}

#[derive(Debug, Deserialize)]
pub(super) struct History {
    series: String,
    since: DateTime<Utc>,
    max_points: u32,
}

pub(super) async fn history(local: &Local, body: History) -> Answer {
    local.engine().require(&local.caller, Permission::ReadMetrics)?;
    if body.max_points == 0 {
        return Err(Error::invalid("max_points", "expected at least 1, got 0").into());
    }
    let (engine, now) = (local.engine(), local.engine().clock().now());
    let points = engine.metric_points(&body.series, (body.since, now), body.max_points).await?;
    let view = points
        .iter()
        .map(|point| json!({ "at": point.at, "mean": point.mean, "min": point.min, "max": point.max }));
    answer(&view.collect::<Vec<_>>())
}

#[derive(Debug, Deserialize)]
pub(super) struct Prefix {
    prefix: String,
}

pub(super) async fn series(local: &Local, body: Prefix) -> Answer {
    local.engine().require(&local.caller, Permission::ReadMetrics)?;
    answer(&local.engine().metric_series(&body.prefix).await?)
}
