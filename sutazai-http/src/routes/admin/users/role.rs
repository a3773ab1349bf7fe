//! `PUT /api/v1/admin/users/{id}/role`: what a user may do.

use sutazai_core::domain::UserId;

use crate::dto::admin::{ChangeRole, ManagedUserView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath, Json};

/// Change what a user may do.
///
/// Their sessions end if the role is another than before.
#[utoipa::path(
    put,
    path = "/api/v1/admin/users/{id}/role",
    operation_id = "change_role",
    tag = "admin",
    params(("id" = Uuid, Path)),
    request_body = ChangeRole,
    responses(
        (status = 200, description = "The user.", body = ManagedUserView),
        (status = 409, description = "Admins cannot do this to themselves."),
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
