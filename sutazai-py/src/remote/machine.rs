//! Requests about the agents, the metrics and the health of a server.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sutazai::external::chrono::{DateTime, Utc};
use sutazai_bodies::error::ErrorBody;
use sutazai_bodies::readiness::{HealthStatus, ReadinessCheck, ReadinessReport};

use super::errors::{of_body, unexpected};
use super::http::Http;
use super::items;
use super::request::Request;
use super::tasks::time;
use crate::verbs::{Answer, answer};

/// Sections of a snapshot that have a name of their own.
const SECTIONS: [&str; 5] = ["host", "pressure", "cgroup", "containers", "gpus"];

pub(super) async fn agents(http: &Http) -> Answer {
    items(http, &Request::get("api/v1/agents")).await
}

/// Response to a question about readiness: the report, or an error that contains it.
#[derive(Debug, Deserialize)]
struct Readiness {
    data: Option<ReadinessReport>,
    error: Option<ErrorBody>,
}

/// Reports the checks of the server: `ok`, or why a part does not work.
pub(super) async fn health(http: &Http) -> Answer {
    let (status, body) = http.answer(&Request::get("health/ready")).await?;
    let readiness: Readiness = serde_json::from_slice(&body).map_err(unexpected)?;
    let (overall, checks) = match (readiness.data, readiness.error) {
        (Some(report), _) => (report.status, report.checks),
        (None, Some(mut error)) => match error.details.checks.take() {
            Some(checks) => (error.details.status.unwrap_or(HealthStatus::Unhealthy), checks),
            None => return Err(of_body(error, status).into()),
        },
        (None, None) => (HealthStatus::Unhealthy, Vec::new()),
    };
    let view = |check: ReadinessCheck| {
        let text = match (check.status, check.reason) {
            (HealthStatus::Healthy, _) => "ok".into(),
            (_, Some(reason)) => reason,
            (_, None) => "not healthy".into(),
        };
        (check.name.into_owned(), Value::from(text.into_owned()))
    };
    let checks: Map<String, Value> = checks.into_iter().map(view).collect();
    answer(&json!({ "status": overall, "checks": checks }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Sections {
    sections: Vec<String>,
}

/// Reads a snapshot. The server measures everything; sections that were not asked for are left out here.
pub(super) async fn snapshot(http: &Http, body: Sections) -> Answer {
    let mut snapshot: Value = http.data(&Request::get("api/v1/system/metrics")).await?;
    if !body.sections.is_empty() {
        let is_wanted = |name: &str| body.sections.iter().any(|section| section == name);
        for name in SECTIONS.into_iter().filter(|name| !is_wanted(name)) {
            snapshot[name] = json!({ "status": "missing", "reason": "no source for it is registered" });
        }
        if let Some(custom) = snapshot.get_mut("custom").and_then(Value::as_object_mut) {
            custom.retain(|name, _| is_wanted(name));
        }
    }
    answer(&snapshot)
}

#[derive(Debug, Deserialize)]
pub(super) struct History {
    series: String,
    since: DateTime<Utc>,
    max_points: u32,
}

/// Series of a history.
#[derive(Debug, Deserialize)]
struct Series {
    points: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Histories {
    series: Vec<Series>,
}

pub(super) async fn history(http: &Http, body: History) -> Answer {
    let request = Request::get("api/v1/system/metrics/history")
        .query("series", body.series)
        .query("from", time(body.since))
        .query("points", body.max_points);
    let found: Histories = http.data(&request).await?;
    answer(&found.series.into_iter().flat_map(|series| series.points).collect::<Vec<_>>())
}

#[derive(Debug, Deserialize)]
pub(super) struct Prefix {
    prefix: String,
}

pub(super) async fn series(http: &Http, body: Prefix) -> Answer {
    items(http, &Request::get("api/v1/system/metrics/series").query("prefix", body.prefix)).await
}
