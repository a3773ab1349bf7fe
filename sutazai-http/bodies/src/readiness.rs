//! Readiness report of the server.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Health of the server or of one dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// The dependency works as configured.
    Healthy,
    /// The server works, but not as configured, or possibly not for much longer.
    Degraded,
    /// The server cannot serve requests.
    Unhealthy,
}

/// Result of one readiness check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessCheck {
    /// Name of the dependency: `database`, `workers`, `redis`, `model`, `disk` or `memory`.
    #[schema(value_type = String)]
    pub name: Cow<'static, str>,
    /// Health of the dependency.
    pub status: HealthStatus,
    /// Duration of the check in milliseconds.
    pub duration_ms: f64,
    /// Reason why it is not healthy; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    pub reason: Option<Cow<'static, str>>,
}

/// Result of all readiness checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessReport {
    /// Worst status of all checks.
    pub status: HealthStatus,
    /// Results by dependency; dependencies that this server does not use are not listed.
    pub checks: Vec<ReadinessCheck>,
}

impl ReadinessReport {
    /// Creates the report of these checks, whose status is the worst of theirs.
    pub fn new(checks: Vec<ReadinessCheck>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Healthy);
        Self { status, checks }
    }
}
