//! `POST /api/v1/admin/users/{id}/disable`: prevents a user from signing in.

use sutazai_core::domain::UserId;

use crate::dto::admin::ManagedUserView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// Disable a user.
///
/// Ends the user's sessions. While the user is disabled, sign-in and API keys are rejected.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{id}/disable",
    operation_id = "disable_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The disabled user.", body = ManagedUserView),
        (status = 409, description = "Admins cannot disable themselves."),
    ),
)]
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, true).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
