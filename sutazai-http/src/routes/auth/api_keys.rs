//! `/api/v1/auth/api-keys`: API keys of the caller.

use sutazai_core::domain::ApiKeyId;

use crate::dto::account::{ApiKeyList, CreateApiKey, CreatedApiKeyView};
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, IdPath, Json};

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
pub(crate) async fn list(account: Account) -> Result<Reply, ApiError> {
    let keys = account.identity.api_keys(account.user).await?;
    Ok(Reply::ok(&ApiKeyList::from(keys)))
}

/// Create an API key.
///
/// The response contains the key, which is never shown again. `password` is required unless the caller signed in less
/// than five minutes ago.
#[utoipa::path(
    post,
    path = "/api/v1/auth/api-keys",
    operation_id = "create_api_key",
    tag = "auth",
    request_body = CreateApiKey,
    responses(
        (status = 201, description = "The API key was created.", body = CreatedApiKeyView),
        (status = 403, description = "The password is missing or wrong, or the request used an API key."),
        (status = 409, description = "The user already has 50 API keys."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn create(account: Account, Json(body): Json<CreateApiKey>) -> Result<Reply, ApiError> {
    let Account { identity, user, session } = account;
    identity.confirm(user, session, body.password.as_deref()).await?;
    let created = identity.create_api_key(user, body.into()).await?;
    Ok(Reply::created(&CreatedApiKeyView::from(created)))
}

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
pub(crate) async fn delete(account: Account, IdPath(id): IdPath<ApiKeyId>) -> Result<Reply, ApiError> {
    account.identity.delete_api_key(account.user, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
