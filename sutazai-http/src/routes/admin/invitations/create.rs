//! `POST /api/v1/admin/invitations`: a new invitation to register.

use crate::dto::invitation::{CreateInvitation, CreatedInvitationView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, OptionalJson};

/// Invite somebody to register.
///
/// The answer holds the invitation, which is never shown again. It is good for one registration.
#[utoipa::path(
    post,
    path = "/api/v1/admin/invitations",
    operation_id = "create_invitation",
    tag = "admin",
    request_body(content = Option<CreateInvitation>),
    responses(
        (status = 201, description = "The invitation.", body = CreatedInvitationView),
        (status = 409, description = "There are too many."),
    ),
)]
pub(crate) async fn handle(
    admin: Administration,
    OptionalJson(body): OptionalJson<CreateInvitation>,
) -> Result<Reply, ApiError> {
    let created = admin.identity.invite(&admin.caller, body.hours).await?;
    Ok(Reply::created(&CreatedInvitationView::from(created)))
}
