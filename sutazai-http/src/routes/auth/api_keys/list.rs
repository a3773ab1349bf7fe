//! `GET /api/v1/auth/api-keys`: the caller's API keys.

use serde_json::json;

use crate::dto::account::ApiKeyView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// 200 with all of them, newest first, each without the key itself.
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let keys = account.identity.api_keys(account.user).await?;
    let items: Vec<ApiKeyView> = keys.into_iter().map(ApiKeyView::from).collect();
    Ok(Reply::ok(&json!({ "items": items })))
}
