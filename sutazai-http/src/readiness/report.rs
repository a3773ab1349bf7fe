//! What is said of the server's health.

use serde::Serialize;
use utoipa::ToSchema;

/// How well something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthStatus {
    /// As it should.
    Healthy,
    /// The server works, but not as configured, or not for much longer.
    Degraded,
    /// The server cannot do its work.
    Unhealthy,
}

/// One thing that the server needs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReadinessCheck {
    /// What: `database`, `workers`, `redis`, `model`, `disk` or `memory`.
    pub(crate) name: &'static str,
    /// How well it does.
    pub(crate) status: HealthStatus,
    /// How long it took to find out, in milliseconds.
    pub(crate) duration_ms: f64,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) reason: Option<&'static str>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReadinessReport {
    /// The worst of the checks.
    pub(crate) status: HealthStatus,
    /// What was tried; what this server does not use is not listed.
    pub(crate) checks: Vec<ReadinessCheck>,
}

impl ReadinessReport {
    pub(super) fn new(checks: Vec<ReadinessCheck>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Healthy);
        Self { status, checks }
    }
}
