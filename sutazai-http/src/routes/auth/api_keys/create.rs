//! `POST /api/v1/auth/api-keys`: a new API key.

use crate::dto::account::{CreateApiKey, CreatedApiKeyView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// Make an API key.
///
/// The answer holds the key, which is never shown again. The password is asked for unless the sign-in is less than five
/// minutes old.
#[utoipa::path(
    post,
    path = "/api/v1/auth/api-keys",
    operation_id = "create_api_key",
    tag = "auth",
    request_body = CreateApiKey,
    responses(
        (status = 201, description = "The key.", body = CreatedApiKeyView),
        (status = 403, description = "The password is missing or wrong, or an API key was used."),
        (status = 409, description = "There are too many."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to come again."),
    ),
)]
pub(crate) async fn handle(account: Account, Json(body): Json<CreateApiKey>) -> Result<Reply, ApiError> {
    let Account { identity, user, session } = account;
    identity.confirm(user, session, body.password.as_deref()).await?;
    let created = identity.create_api_key(user, body.into()).await?;
    Ok(Reply::created(&CreatedApiKeyView::from(created)))
}
