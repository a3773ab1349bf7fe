//! `PUT /api/v1/admin/users/{id}/role`: changes the role of a user.

use sutazai_core::domain::UserId;

use crate::dto::admin::{ChangeRole, ManagedUserView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath, Json};

/// Change the role of a user.
///
/// If the new role differs from the old one, the user's sessions end.
#[utoipa::path(
    put,
    path = "/api/v1/admin/users/{id}/role",
    operation_id = "change_role",
    tag = "admin",
    params(("id" = Uuid, Path)),
    request_body = ChangeRole,
    responses(
        (status = 200, description = "The user with the new role.", body = ManagedUserView),
        (status = 409, description = "Admins cannot change their own role."),
    ),
)]
pub(crate) async fn handle(
    admin: Administration,
    IdPath(id): IdPath<UserId>,
    Json(body): Json<ChangeRole>,
) -> Result<Reply, ApiError> {
    let user = admin.identity.set_role(&admin.caller, id, body.role).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
