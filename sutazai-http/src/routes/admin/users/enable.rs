//! `POST /api/v1/admin/users/{id}/enable`: allows a disabled user to sign in again.

use sutazai_core::domain::UserId;

use crate::dto::admin::ManagedUserView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// Enable a disabled user.
///
/// API keys become valid again; sessions that ended when the user was disabled do not.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{id}/enable",
    operation_id = "enable_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The enabled user.", body = ManagedUserView),
        (status = 409, description = "Admins cannot enable themselves."),
    ),
)]
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, false).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
