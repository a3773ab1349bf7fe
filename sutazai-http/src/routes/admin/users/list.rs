//! `GET /api/v1/admin/users`: lists all users, newest first.

use crate::dto::admin::{ListUsers, UserList};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, Query};

/// List all users.
#[utoipa::path(
    get,
    path = "/api/v1/admin/users",
    operation_id = "list_users",
    tag = "admin",
    params(ListUsers),
    responses(
        (status = 200, description = "One page of users, newest first.", body = UserList),
    ),
)]
pub(crate) async fn handle(admin: Administration, Query(list): Query<ListUsers>) -> Result<Reply, ApiError> {
    let page = admin.identity.users(&list.query()?).await?;
    Ok(Reply::ok(&UserList::from(page)))
}
