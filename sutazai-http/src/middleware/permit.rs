//! Checks permissions: the only place where the API decides what a caller may do.

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::{Caller, Permission};

use crate::app::App;
use crate::error::ApiError;

/// Responds with 403 when the caller lacks the permission of these routes.
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
