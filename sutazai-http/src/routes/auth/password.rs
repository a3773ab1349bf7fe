//! `POST /api/v1/auth/password`: a new password in the place of the old one.

use crate::dto::account::{ChangePassword, PasswordChanged};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// Change the password.
///
/// All other sessions end, and all API keys unless `revoke_keys` is false.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password",
    operation_id = "change_password",
    tag = "auth",
    request_body = ChangePassword,
    responses(
        (status = 200, description = "How many other sessions and API keys have ended.", body = PasswordChanged),
        (status = 403, description = "The current password is another one, or an API key was used."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to come again."),
    ),
)]
pub(crate) async fn handle(account: Account, Json(body): Json<ChangePassword>) -> Result<Reply, ApiError> {
    let passwords = (body.current_password.as_str(), body.new_password.as_str());
    let Account { identity, user, session } = account;
    let changed = identity.change_password(user, session, passwords, body.revoke_keys).await?;
    Ok(Reply::ok(&PasswordChanged::from(changed)))
}
