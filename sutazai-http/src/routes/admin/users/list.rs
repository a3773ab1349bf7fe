//! `GET /api/v1/admin/users`: all users, newest first.

use crate::dto::admin::{ListUsers, UserList};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, Query};

/// 200 with one page of those whose username or e-mail contains `search`.
pub(crate) async fn handle(admin: Administration, Query(list): Query<ListUsers>) -> Result<Reply, ApiError> {
    let page = admin.identity.users(&list.query()?).await?;
    Ok(Reply::ok(&UserList::from(page)))
}
