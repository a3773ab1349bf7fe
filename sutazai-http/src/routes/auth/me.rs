//! `/api/v1/auth/me`: the caller's own user.

use axum::Extension;
use axum::extract::State;
use sutazai_bodies::auth::UserView;
use sutazai_core::domain::Caller;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::dto::account::DeleteMe;
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

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
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let gone = || Error::new(ErrorKind::Unauthenticated, "the user was deleted");
    let user = identity.user(caller.owner().ok_or_else(gone)?).await.map_err(|e| match e.kind() {
        ErrorKind::NotFound => gone(),
        _ => e,
    })?;
    Ok(Reply::ok(&UserView::from(user)))
}

/// Delete the caller's own user.
///
/// Also deletes their sessions, API keys, schedules, tasks, conversations and documents. This cannot be undone.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/me",
    operation_id = "delete_me",
    tag = "auth",
    request_body = DeleteMe,
    responses(
        (status = 200, description = "The user was deleted.", body = Deleted),
        (status = 403, description = "The password is wrong, or the request used an API key."),
        (status = 409, description = "The user is the last admin who can sign in."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn delete(account: Account, Json(body): Json<DeleteMe>) -> Result<Reply, ApiError> {
    account.identity.delete_own_user(account.user, &body.password).await?;
    Ok(Reply::ok(&Deleted { id: account.user.0 }))
}
