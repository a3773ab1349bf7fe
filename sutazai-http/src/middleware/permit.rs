//! Lets nobody through to a route whose permission they lack: the one place where that is asked.

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::{Caller, Permission};

use crate::app::App;
use crate::error::ApiError;

/// Answers 403 when the caller may not do what these routes are about.
pub(crate) async fn require(
    State((app, permission)): State<(App, Permission)>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match app.engine().require(&caller, permission) {
        Ok(()) => next.run(request).await,
        Err(e) => ApiError::from(e).into_response(),
    }
}
