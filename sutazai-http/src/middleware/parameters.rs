//! Refuses requests with a parameter that their route does not have: a caller that sends `?force=true` means something by it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;

/// Answers 422 that names the parameter.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.query_parameters().check(&request) {
        Ok(()) => next.run(request).await,
        Err(e) => ApiError::from(e).into_response(),
    }
}
