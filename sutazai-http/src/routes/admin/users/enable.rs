//! `POST /api/v1/admin/users/{id}/enable`: a disabled user can sign in again.

use sutazai_core::domain::UserId;

use crate::dto::admin::ManagedUserView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath};

/// 200 with the user; their sessions have not come back, their API keys have. 404; 409 for oneself.
pub(crate) async fn handle(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, false).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}
