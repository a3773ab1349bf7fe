//! `POST /api/v1/admin/invitations`: creates an invitation.

use crate::dto::invitation::{CreateInvitation, CreatedInvitationView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, OptionalJson};

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
pub(crate) async fn handle(
    admin: Administration,
    OptionalJson(body): OptionalJson<CreateInvitation>,
) -> Result<Reply, ApiError> {
    let created = admin.identity.invite(&admin.caller, body.hours).await?;
    Ok(Reply::created(&CreatedInvitationView::from(created)))
}
