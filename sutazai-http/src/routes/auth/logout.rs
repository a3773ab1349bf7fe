//! `POST /api/v1/auth/logout`: ends the session that the access token belongs to.

use crate::dto::account::Nothing;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// Sign out.
///
/// Both tokens of the session are refused from now on.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    operation_id = "logout",
    tag = "auth",
    responses(
        (status = 200, description = "The session has ended.", body = Nothing),
    ),
)]
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    account.identity.logout(account.session).await?;
    Ok(Reply::ok(&Nothing {}))
}
