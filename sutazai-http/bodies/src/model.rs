//! Requests that download models.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Request to download a model.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullModel {
    /// Name of the model, as the backend knows it.
    #[schema(min_length = 1, max_length = 200, example = "tinyllama")]
    pub model: String,
}
