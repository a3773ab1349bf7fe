//! `GET /api/v1/auth/sessions`: where the caller is signed in.

use crate::dto::account::SessionList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Account;

/// 200 with the sessions that have not ended, newest first.
pub(crate) async fn handle(account: Account) -> Result<Reply, ApiError> {
    let sessions = account.identity.sessions(account.user).await?;
    Ok(Reply::ok(&SessionList::new(sessions, Some(account.session))))
}
