//! Paths.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use sutazai_core::domain::TaskId;

use crate::error::ApiError;

/// The task whose id stands in the path; 422 when that is no id.
#[derive(Debug)]
pub(crate) struct TaskPath(pub(crate) TaskId);

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::malformed("the path is not UTF-8"))?;
        Ok(Self(id.parse()?))
    }
}
