//! `DELETE /api/v1/admin/invitations/{id}`: revokes an invitation.

use sutazai_core::domain::InvitationId;

use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// Revoke an invitation.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/invitations/{id}",
    operation_id = "delete_invitation",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The invitation was deleted.", body = Deleted),
    ),
)]
pub(crate) async fn handle(
    admin: Administration,
    IdPath(id): IdPath<InvitationId>,
) -> Result<Reply, ApiError> {
    admin.identity.delete_invitation(id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
