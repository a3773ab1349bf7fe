//! `POST /api/v1/auth/logout`: ends the session that the access token belongs to.

use serde_json::json;

use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// 200; both tokens of the session are refused from now on.
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    account.identity.logout(account.session).await?;
    Ok(Reply::ok(&json!({})))
}
