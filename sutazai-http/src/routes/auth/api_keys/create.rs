//! `POST /api/v1/auth/api-keys`: a new API key.

use sutazai_core::domain::NewApiKey;

use crate::dto::account::CreatedApiKeyView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// 201 with the key, which is never shown again; 409 when there are too many.
pub(crate) async fn handle(account: Account, Json(new): Json<NewApiKey>) -> Result<Reply, ApiError> {
    let created = account.identity.create_api_key(account.user, new).await?;
    Ok(Reply::created(&CreatedApiKeyView::from(created)))
}
