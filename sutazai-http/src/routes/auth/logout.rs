//! `POST /api/v1/auth/logout`: ends the session of the access token.

use crate::dto::account::Nothing;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// Sign out.
///
/// Revokes the access token and the refresh token of this session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    operation_id = "logout",
    tag = "auth",
    responses(
        (status = 200, description = "The session was ended.", body = Nothing),
    ),
)]
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    account.identity.logout(account.session).await?;
    Ok(Reply::ok(&Nothing {}))
}
