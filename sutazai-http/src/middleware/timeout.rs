//! Ends requests that take too long.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::Error;

use crate::error::ApiError;

/// How long a request may take, its body included.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers 504 when the inner services have not answered in time; what they were doing is dropped.
pub(crate) async fn limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request was not done within {} seconds", LIMIT.as_secs());
            ApiError::from(Error::timeout(message)).into_response()
        }
    }
}
