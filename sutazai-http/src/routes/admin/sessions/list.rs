//! `GET /api/v1/admin/users/{id}/sessions`: where a user is signed in.

use sutazai_core::domain::UserId;

use crate::dto::account::SessionList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// 200 with the sessions that have not ended, newest first; 404 for an unknown user.
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.user(id).await?;
    let sessions = admin.identity.sessions(user.id).await?;
    Ok(Reply::ok(&SessionList::new(sessions, None)))
}
