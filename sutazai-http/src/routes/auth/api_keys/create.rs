//! `POST /api/v1/auth/api-keys`: a new API key.

use crate::dto::account::{CreateApiKey, CreatedApiKeyView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// Make an API key.
///
/// The answer holds the key, which is never shown again.
#[utoipa::path(
    post,
    path = "/api/v1/auth/api-keys",
    operation_id = "create_api_key",
    tag = "auth",
    request_body = CreateApiKey,
    responses(
        (status = 201, description = "The key.", body = CreatedApiKeyView),
        (status = 409, description = "There are too many."),
    ),
)]
pub(crate) async fn handle(account: Account, Json(body): Json<CreateApiKey>) -> Result<Reply, ApiError> {
    let created = account.identity.create_api_key(account.user, body.into()).await?;
    Ok(Reply::created(&CreatedApiKeyView::from(created)))
}
