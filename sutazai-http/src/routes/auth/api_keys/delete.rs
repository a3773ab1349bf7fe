//! `DELETE /api/v1/auth/api-keys/{id}`: deletes an API key of the caller.

use sutazai_core::domain::ApiKeyId;

use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, IdPath};

/// Delete an API key of the caller.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/api-keys/{id}",
    operation_id = "delete_api_key",
    tag = "auth",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The key was deleted; requests with it are rejected.", body = Deleted),
    ),
)]
pub(crate) async fn handle(account: Account, IdPath(id): IdPath<ApiKeyId>) -> Result<Reply, ApiError> {
    account.identity.delete_api_key(account.user, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
