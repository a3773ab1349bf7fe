//! Rejects unknown query parameters. A client that sends `?force=true` relies on it, so ignoring the parameter would
//! do something else than the client intends.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;

/// Middleware that checks the query parameters of routes that need no sign-in.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.query_parameters().check(&request) {
        Ok(()) => next.run(request).await,
        Err(e) => ApiError::from(e).into_response(),
    }
}
