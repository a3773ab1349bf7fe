//! `POST /api/v1/auth/logout-all`: ends all sessions of the caller, including this one.

use crate::dto::account::EndedSessions;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// Sign out everywhere.
///
/// Revokes all tokens of all sessions, including this one. API keys remain valid.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout-all",
    operation_id = "logout_all",
    tag = "auth",
    responses(
        (status = 200, description = "Number of sessions that were ended.", body = EndedSessions),
    ),
)]
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let ended = account.identity.logout_all(account.user).await?;
    Ok(Reply::ok(&EndedSessions { ended }))
}
