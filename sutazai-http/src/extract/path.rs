//! Path parameters of requests.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use sutazai_core::Error;

use crate::error::ApiError;

/// Id in the path; 422 naming it when it is not valid.
#[derive(Debug)]
pub(crate) struct IdPath<T>(pub(crate) T);

impl<T: FromStr<Err = Error>, S: Send + Sync> FromRequestParts<S> for IdPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::malformed("the path is not UTF-8"))?;
        Ok(Self(id.parse()?))
    }
}
