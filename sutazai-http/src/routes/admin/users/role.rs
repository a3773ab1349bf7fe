//! `PUT /api/v1/admin/users/{id}/role`: what a user may do.

use sutazai_core::domain::UserId;

use crate::dto::admin::{ChangeRole, ManagedUserView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath, Json};

/// 200 with the user, whose sessions have ended if the role is another than before. 404; 409 for oneself.
pub(crate) async fn handle(
    admin: Administration,
    IdPath(id): IdPath<UserId>,
    Json(body): Json<ChangeRole>,
) -> Result<Reply, ApiError> {
    let user = admin.identity.set_role(&admin.caller, id, body.role).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
