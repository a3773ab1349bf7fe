//! `POST /api/v1/admin/users/{id}/disable`: a user can no longer sign in.

use sutazai_core::domain::UserId;

use crate::dto::admin::ManagedUserView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// 200 with the user; their sessions have ended and their API keys are refused. 404; 409 for oneself.
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, true).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
