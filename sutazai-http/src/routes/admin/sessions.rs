//! `/api/v1/admin/users/{id}/sessions`: sessions of any user.

use sutazai_core::domain::UserId;

use crate::dto::account::{EndedSessions, SessionList};
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
pub(crate) async fn list(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.user(id).await?;
    let sessions = admin.identity.sessions(user.id).await?;
    Ok(Reply::ok(&SessionList::new(sessions, None)))
}

/// End all sessions of a user.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{id}/sessions",
    operation_id = "end_user_sessions",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "Number of sessions that were ended.", body = EndedSessions),
    ),
)]
pub(crate) async fn end(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.user(id).await?;
    let ended = admin.identity.logout_all(user.id).await?;
    Ok(Reply::ok(&EndedSessions { ended }))
}
