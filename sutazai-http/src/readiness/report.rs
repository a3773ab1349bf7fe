//! Readiness report of the server.

use serde::Serialize;
use utoipa::ToSchema;

/// Health of the server or of one dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthStatus {
    /// The dependency works as configured.
    Healthy,
    /// The server works, but not as configured, or possibly not for much longer.
    Degraded,
    /// The server cannot serve requests.
    Unhealthy,
}

/// Result of one readiness check.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReadinessCheck {
    /// Name of the dependency: `database`, `workers`, `redis`, `model`, `disk` or `memory`.
    pub(crate) name: &'static str,
    /// Health of the dependency.
    pub(crate) status: HealthStatus,
    /// Duration of the check in milliseconds.
    pub(crate) duration_ms: f64,
    /// Reason why it is not healthy; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) reason: Option<&'static str>,
}

/// Result of all readiness checks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReadinessReport {
    /// Worst status of all checks.
    pub(crate) status: HealthStatus,
    /// Results by dependency; dependencies that this server does not use are not listed.
    pub(crate) checks: Vec<ReadinessCheck>,
}

impl ReadinessReport {
    pub(super) fn new(checks: Vec<ReadinessCheck>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Healthy);
        Self { status, checks }
    }
}
