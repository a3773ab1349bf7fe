//! `DELETE /api/v1/admin/users/{id}`: deletes a user and all their data.

use sutazai_core::domain::UserId;

use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// Delete a user.
///
/// Also deletes the user's sessions, API keys, schedules, tasks, conversations and documents. This cannot be undone.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{id}",
    operation_id = "delete_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The user was deleted.", body = Deleted),
        (status = 409, description = "The user is the calling admin, or the last admin who can sign in."),
    ),
)]
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    admin.identity.delete_user(&admin.caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
