//! `POST /api/v1/auth/password`: changes the caller's password.

use crate::dto::account::{ChangePassword, PasswordChanged};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// Change the password.
///
/// Ends all other sessions and, unless `revoke_keys` is false, deletes all API keys.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password",
    operation_id = "change_password",
    tag = "auth",
    request_body = ChangePassword,
    responses(
        (status = 200, description = "Numbers of other sessions and API keys that were revoked.", body = PasswordChanged),
        (status = 403, description = "The current password is wrong, or the request used an API key."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn handle(account: Account, Json(body): Json<ChangePassword>) -> Result<Reply, ApiError> {
    let passwords = (body.current_password.as_str(), body.new_password.as_str());
    let Account { identity, user, session } = account;
    let changed = identity.change_password(user, session, passwords, body.revoke_keys).await?;
    Ok(Reply::ok(&PasswordChanged::from(changed)))
}
