//! What is no more.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The id of what is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gone {
    pub(crate) id: Uuid,
}
