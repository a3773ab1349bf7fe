//! `/api/v1/admin/invitations`: invitations that allow one registration each.

use sutazai_core::domain::InvitationId;

use crate::dto::deleted::Deleted;
use crate::dto::invitation::{CreateInvitation, CreatedInvitationView, InvitationList};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath, OptionalJson};

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
pub(crate) async fn list(admin: Administration) -> Result<Reply, ApiError> {
    Ok(Reply::ok(&InvitationList::from(admin.identity.invitations().await?)))
}

/// Create an invitation.
///
/// The response contains the invitation text, which is never shown again. An invitation allows one registration and
/// expires after 72 hours unless `hours` says otherwise.
#[utoipa::path(
    post,
    path = "/api/v1/admin/invitations",
    operation_id = "create_invitation",
    tag = "admin",
    request_body(content = Option<CreateInvitation>),
    responses(
        (status = 201, description = "The invitation was created.", body = CreatedInvitationView),
        (status = 409, description = "100 unused invitations exist already."),
    ),
)]
pub(crate) async fn create(
    admin: Administration,
    OptionalJson(body): OptionalJson<CreateInvitation>,
) -> Result<Reply, ApiError> {
    let created = admin.identity.invite(&admin.caller, body.hours).await?;
    Ok(Reply::created(&CreatedInvitationView::from(created)))
}

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
pub(crate) async fn delete(
    admin: Administration,
    IdPath(id): IdPath<InvitationId>,
) -> Result<Reply, ApiError> {
    admin.identity.delete_invitation(id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
