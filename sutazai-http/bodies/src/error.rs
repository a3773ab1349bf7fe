//! Error responses of the API.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::readiness::{HealthStatus, ReadinessCheck};

/// The `error` object of an error response.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Error code, for programs.
    #[schema(example = "invalid_input", value_type = String)]
    pub code: Cow<'static, str>,
    /// Explanation of the error, for people.
    pub message: String,
    #[expect(missing_docs, reason = "a comment would be published as its description")]
    pub details: ErrorDetails,
}

/// Additional details of an error, for programs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetails {
    /// Field, parameter or header that is invalid; nested fields are separated by dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
    /// Seconds after which the request may be repeated; the header `Retry-After` has the same value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_seconds: Option<u64>,
    /// Overall state of the server; only in a response of `/health/ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<HealthStatus>,
    /// Result of each readiness check; only in a response of `/health/ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub checks: Option<Vec<ReadinessCheck>>,
}
