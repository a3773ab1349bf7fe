//! `DELETE /api/v1/admin/users/{id}/sessions`: signs a user out everywhere.

use serde_json::json;
use sutazai_core::domain::UserId;

use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// 200 with the number of sessions that ended; 404 for an unknown user.
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.user(id).await?;
    let ended = admin.identity.logout_all(user.id).await?;
    Ok(Reply::ok(&json!({ "ended": ended })))
}
