//! `POST /api/v1/auth/logout-all`: ends all sessions of the caller, this one too.

use serde_json::json;

use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// 200 with the number of sessions that ended; all their tokens are refused from now on. API keys stay good.
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let ended = account.identity.logout_all(account.user).await?;
    Ok(Reply::ok(&json!({ "ended": ended })))
}
