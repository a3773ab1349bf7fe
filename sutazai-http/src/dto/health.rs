//! Response of the liveness check.

use serde::Serialize;
use utoipa::ToSchema;

/// Confirmation that the process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "healthy")]
    pub(crate) status: &'static str,
    pub(crate) version: &'static str,
    pub(crate) uptime_seconds: u64,
}
