//! Bounds the duration of requests.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::Error;

use crate::app::App;
use crate::error::ApiError;

/// Responds with 504 when the inner services do not respond in time; their future is dropped, which cancels them.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.protection().request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request was not done within {} seconds", limit.as_secs());
            ApiError::from(Error::timeout(message)).into_response()
        }
    }
}
