//! `POST /api/v1/auth/logout-all`: ends all sessions of the caller, this one too.

use crate::dto::account::EndedSessions;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// Sign out everywhere.
///
/// All tokens of all sessions are refused from now on, this one's too. API keys stay good.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout-all",
    operation_id = "logout_all",
    tag = "auth",
    responses(
        (status = 200, description = "How many sessions have ended.", body = EndedSessions),
    ),
)]
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let ended = account.identity.logout_all(account.user).await?;
    Ok(Reply::ok(&EndedSessions { ended }))
}
