//! `DELETE /api/v1/auth/me`: deletes the caller's own user.

use crate::dto::account::DeleteMe;
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

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
pub(crate) async fn handle(account: Account, Json(body): Json<DeleteMe>) -> Result<Reply, ApiError> {
    account.identity.delete_own_user(account.user, &body.password).await?;
    Ok(Reply::ok(&Deleted { id: account.user.0 }))
}
