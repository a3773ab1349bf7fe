//! `DELETE /api/v1/auth/sessions/{id}`: ends one session of the caller.

use serde_json::json;
use sutazai_core::domain::SessionId;

use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, IdPath};

/// 200 with its id; 404 when it has ended, or is somebody else's.
pub(crate) async fn handle(account: Account, IdPath(id): IdPath<SessionId>) -> Result<Reply, ApiError> {
    account.identity.end_session(account.user, id).await?;
    Ok(Reply::ok(&json!({ "id": id })))
}
