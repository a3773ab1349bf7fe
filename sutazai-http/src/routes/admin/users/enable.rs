//! `POST /api/v1/admin/users/{id}/enable`: a disabled user can sign in again.

use sutazai_core::domain::UserId;

use crate::dto::admin::ManagedUserView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// Let a user sign in again.
///
/// Their sessions do not come back, their API keys do.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{id}/enable",
    operation_id = "enable_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The user.", body = ManagedUserView),
        (status = 409, description = "Admins cannot do this to themselves."),
    ),
)]
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, false).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
