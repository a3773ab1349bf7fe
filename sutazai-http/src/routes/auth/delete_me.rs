//! `DELETE /api/v1/auth/me`: the caller's own user is deleted.

use crate::dto::account::DeleteMe;
use crate::dto::gone::Gone;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// Delete the caller's own user.
///
/// With it go all their sessions, API keys, schedules, tasks, conversations and documents. It cannot be undone.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/me",
    operation_id = "delete_me",
    tag = "auth",
    request_body = DeleteMe,
    responses(
        (status = 200, description = "The user is deleted.", body = Gone),
        (status = 403, description = "The password is another one, or an API key was used."),
        (status = 409, description = "This is the last admin who can sign in."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to come again."),
    ),
)]
pub(crate) async fn handle(account: Account, Json(body): Json<DeleteMe>) -> Result<Reply, ApiError> {
    account.identity.delete_own_user(account.user, &body.password).await?;
    Ok(Reply::ok(&Gone { id: account.user.0 }))
}
