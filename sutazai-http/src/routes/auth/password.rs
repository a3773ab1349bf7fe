//! `POST /api/v1/auth/password`: a new password in the place of the old one.

use crate::dto::account::{ChangePassword, EndedSessions};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// Change the password.
///
/// All other sessions end.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password",
    operation_id = "change_password",
    tag = "auth",
    request_body = ChangePassword,
    responses(
        (status = 200, description = "How many other sessions have ended.", body = EndedSessions),
        (status = 403, description = "The current password is another one, or an API key was used."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to come again."),
    ),
)]
pub(crate) async fn handle(account: Account, Json(body): Json<ChangePassword>) -> Result<Reply, ApiError> {
    let ended = account
        .identity
        .change_password(account.user, account.session, &body.current_password, &body.new_password)
        .await?;
    Ok(Reply::ok(&EndedSessions { ended }))
}
