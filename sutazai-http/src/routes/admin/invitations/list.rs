//! `GET /api/v1/admin/invitations`: lists the valid invitations.

use crate::dto::invitation::InvitationList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Administration;

/// List the invitations that are neither used nor expired.
#[utoipa::path(
    get,
    path = "/api/v1/admin/invitations",
    operation_id = "list_invitations",
    tag = "admin",
    responses(
        (status = 200, description = "At most 100 invitations, newest first.", body = InvitationList),
    ),
)]
pub(crate) async fn handle(admin: Administration) -> Result<Reply, ApiError> {
    Ok(Reply::ok(&InvitationList::from(admin.identity.invitations().await?)))
}
