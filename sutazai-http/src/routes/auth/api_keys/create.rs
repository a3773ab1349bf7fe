//! `POST /api/v1/auth/api-keys`: creates an API key of the caller.

use crate::dto::account::{CreateApiKey, CreatedApiKeyView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

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
pub(crate) async fn handle(account: Account, Json(body): Json<CreateApiKey>) -> Result<Reply, ApiError> {
    let Account { identity, user, session } = account;
    identity.confirm(user, session, body.password.as_deref()).await?;
    let created = identity.create_api_key(user, body.into()).await?;
    Ok(Reply::created(&CreatedApiKeyView::from(created)))
}
