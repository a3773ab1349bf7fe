//! `/api/v1/admin/users`: administration of all user accounts.

use sutazai_core::domain::{UserId, UserQuery};

use crate::dto::account::PasswordChanged;
use crate::dto::admin::{ChangeRole, CreateUser, ManagedUserView, SetPassword, UserFilter, UserList};
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Administration, IdPath, Json, PageQuery, Query};

/// List all users.
#[utoipa::path(
    get,
    path = "/api/v1/admin/users",
    operation_id = "list_users",
    tag = "admin",
    params(PageQuery::<UserId>, UserFilter),
    responses(
        (status = 200, description = "One page of users, newest first.", body = UserList),
    ),
)]
pub(crate) async fn list(
    admin: Administration,
    PageQuery(page): PageQuery<UserId>,
    Query(filter): Query<UserFilter>,
) -> Result<Reply, ApiError> {
    let page = admin.identity.users(&UserQuery { search: filter.search, page }).await?;
    Ok(Reply::ok(&UserList::from(page)))
}

/// Create a user.
///
/// Works while registration is closed, too. The user is not signed in; tell them their password, and let them change it.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users",
    operation_id = "create_user",
    tag = "admin",
    request_body = CreateUser,
    responses(
        (status = 201, description = "The user was created.", body = ManagedUserView),
        (status = 409, description = "The username or the e-mail address is taken; `details.field` says which."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn create(admin: Administration, Json(body): Json<CreateUser>) -> Result<Reply, ApiError> {
    let (new, role) = body.split();
    let user = admin.identity.create_user(new, role).await?;
    Ok(Reply::created(&ManagedUserView::from(user)))
}

/// Show a user.
#[utoipa::path(
    get,
    path = "/api/v1/admin/users/{id}",
    operation_id = "show_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The user.", body = ManagedUserView),
    ),
)]
pub(crate) async fn show(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.user(id).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}

/// Set the password of a user.
///
/// Ends all sessions of the user and deletes all their API keys.
#[utoipa::path(
    put,
    path = "/api/v1/admin/users/{id}/password",
    operation_id = "set_user_password",
    tag = "admin",
    params(("id" = Uuid, Path)),
    request_body = SetPassword,
    responses(
        (status = 200, description = "Numbers of sessions and API keys that were revoked.", body = PasswordChanged),
        (status = 409, description = "Admins change their own password with the current one."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn set_password(
    admin: Administration,
    IdPath(id): IdPath<UserId>,
    Json(body): Json<SetPassword>,
) -> Result<Reply, ApiError> {
    let changed = admin.identity.set_password(&admin.caller, id, &body.password).await?;
    Ok(Reply::ok(&PasswordChanged::from(changed)))
}

/// Disable a user.
///
/// Ends the user's sessions. While the user is disabled, sign-in and API keys are rejected.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{id}/disable",
    operation_id = "disable_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The disabled user.", body = ManagedUserView),
        (status = 409, description = "Admins cannot disable themselves."),
    ),
)]
pub(crate) async fn disable(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, true).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}

/// Enable a disabled user.
///
/// API keys become valid again; sessions that ended when the user was disabled do not.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{id}/enable",
    operation_id = "enable_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The enabled user.", body = ManagedUserView),
        (status = 409, description = "Admins cannot enable themselves."),
    ),
)]
pub(crate) async fn enable(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    let user = admin.identity.set_disabled(&admin.caller, id, false).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}

/// Change the role of a user.
///
/// If the new role differs from the old one, the user's sessions end.
#[utoipa::path(
    put,
    path = "/api/v1/admin/users/{id}/role",
    operation_id = "change_role",
    tag = "admin",
    params(("id" = Uuid, Path)),
    request_body = ChangeRole,
    responses(
        (status = 200, description = "The user with the new role.", body = ManagedUserView),
        (status = 409, description = "Admins cannot change their own role."),
    ),
)]
pub(crate) async fn change_role(
    admin: Administration,
    IdPath(id): IdPath<UserId>,
    Json(body): Json<ChangeRole>,
) -> Result<Reply, ApiError> {
    let user = admin.identity.set_role(&admin.caller, id, body.role).await?;
    Ok(Reply::ok(&ManagedUserView::from(user)))
}

/// Delete a user.
///
/// Also deletes the user's sessions, API keys, schedules, tasks, conversations and documents. This cannot be undone.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{id}",
    operation_id = "delete_user",
    tag = "admin",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The user was deleted.", body = Deleted),
        (status = 409, description = "The user is the calling admin, or the last admin who can sign in."),
    ),
)]
pub(crate) async fn delete(admin: Administration, IdPath(id): IdPath<UserId>) -> Result<Reply, ApiError> {
    admin.identity.delete_user(&admin.caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
