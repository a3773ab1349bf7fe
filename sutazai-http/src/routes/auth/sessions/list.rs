//! `GET /api/v1/auth/sessions`: lists the sessions of the caller.

use crate::dto::account::SessionList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// List the caller's sessions.
#[utoipa::path(
    get,
    path = "/api/v1/auth/sessions",
    operation_id = "list_sessions",
    tag = "auth",
    responses(
        (status = 200, description = "Active sessions, newest first.", body = SessionList),
    ),
)]
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let sessions = account.identity.sessions(account.user).await?;
    Ok(Reply::ok(&SessionList::new(sessions, Some(account.session))))
}
