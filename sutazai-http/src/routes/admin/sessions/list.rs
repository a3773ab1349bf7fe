//! `GET /api/v1/admin/users/{id}/sessions`: lists the sessions of a user.

use sutazai_core::domain::UserId;

use crate::dto::account::SessionList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// List the sessions of a user.
#[utoipa::path(
    get,
    path = "/api/v1/admin/users/{id}/sessions",
    operation_id = "list_user_sessions",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "Active sessions, newest first.", body = SessionList),
    ),
)]
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.user(id).await?;
    let sessions = admin.identity.sessions(user.id).await?;
    Ok(Reply::ok(&SessionList::new(sessions, None)))
}
