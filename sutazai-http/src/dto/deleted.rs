//! Response to a request that deletes something.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Id of the deleted object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    pub(crate) id: Uuid,
}
