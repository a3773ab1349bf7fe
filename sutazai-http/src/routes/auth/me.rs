//! `GET /api/v1/auth/me`: returns the caller's own user.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::dto::auth::UserView;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Show the caller's own user.
#[utoipa::path(
    get,
    path = "/api/v1/auth/me",
    operation_id = "show_me",
    tag = "auth",
    responses(
        (status = 200, description = "The caller's user.", body = UserView),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let gone = || Error::new(ErrorKind::Unauthenticated, "there is no such user any more");
    let user = identity.user(caller.owner().ok_or_else(gone)?).await.map_err(|e| match e.kind() {
        ErrorKind::NotFound => gone(),
        _ => e,
    })?;
    Ok(Reply::ok(&UserView::from(user)))
}
