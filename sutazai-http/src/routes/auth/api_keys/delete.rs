//! `DELETE /api/v1/auth/api-keys/{id}`: removes an API key of the caller.

use serde_json::json;
use sutazai_core::domain::ApiKeyId;

use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, IdPath};

/// 200 with its id; the key is refused from now on. 404 when it is not there, or is somebody else's.
pub(crate) async fn handle(account: Account, IdPath(id): IdPath<ApiKeyId>) -> Result<Reply, ApiError> {
    account.identity.delete_api_key(account.user, id).await?;
    Ok(Reply::ok(&json!({ "id": id })))
}
