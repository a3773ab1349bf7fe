//! `DELETE /api/v1/auth/sessions/{id}`: ends one session of the caller.

use sutazai_core::domain::SessionId;

use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, IdPath};

/// End a session of the caller.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/sessions/{id}",
    operation_id = "end_session",
    tag = "auth",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The session was ended.", body = Deleted),
    ),
)]
pub(crate) async fn handle(account: Account, IdPath(id): IdPath<SessionId>) -> Result<Reply, ApiError> {
    account.identity.end_session(account.user, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
