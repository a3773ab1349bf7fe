//! `GET /api/v1/auth/api-keys`: lists the API keys of the caller.

use crate::dto::account::ApiKeyList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// List the caller's API keys.
#[utoipa::path(
    get,
    path = "/api/v1/auth/api-keys",
    operation_id = "list_api_keys",
    tag = "auth",
    responses(
        (status = 200, description = "All API keys, newest first, without their plaintext.", body = ApiKeyList),
    ),
)]
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let keys = account.identity.api_keys(account.user).await?;
    Ok(Reply::ok(&ApiKeyList::from(keys)))
}
