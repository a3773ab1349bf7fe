//! `DELETE /api/v1/admin/users/{id}`: a user is deleted.

use sutazai_core::domain::UserId;

use crate::dto::gone::Gone;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// Delete a user.
///
/// With them go all their sessions, API keys, schedules, tasks, conversations and documents. It cannot be undone.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{id}",
    operation_id = "delete_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The user is deleted.", body = Gone),
        (status = 409, description = "Admins cannot do this to themselves, nor to the last admin who can sign in."),
    ),
)]
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    admin.identity.delete_user(&admin.caller, id).await?;
    Ok(Reply::ok(&Gone { id: id.0 }))
}
