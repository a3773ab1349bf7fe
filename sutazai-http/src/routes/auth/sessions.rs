//! Sessions of the caller: `/api/v1/auth/sessions` and signing out.

use axum::response::{IntoResponse, Response};
use sutazai_core::domain::SessionId;

use crate::auth::session_cookie::WantedCookie;
use crate::dto::account::{EndedSessions, Nothing, SessionList};
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, IdPath};

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
pub(crate) async fn list(account: Account) -> Result<Reply, ApiError> {
    let sessions = account.identity.sessions(account.user).await?;
    Ok(Reply::ok(&SessionList::new(sessions, Some(account.session))))
}

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
pub(crate) async fn end(account: Account, IdPath(id): IdPath<SessionId>) -> Result<Reply, ApiError> {
    account.identity.end_session(account.user, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}

/// Sign out.
///
/// Revokes the access token and the refresh token of this session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    operation_id = "logout",
    tag = "auth",
    params(
        ("X-Session" = Option<String>, Header, nullable = false, pattern = "^cookie$", description = "`cookie` also clears the cookie; for pages of this server only."),
    ),
    responses(
        (status = 200, description = "The session was ended.", body = Nothing),
        (status = 403, description = "The request for a cookie is not from a page of this server."),
    ),
)]
pub(crate) async fn logout(
    account: Account,
    WantedCookie(cookie): WantedCookie,
) -> Result<Response, ApiError> {
    account.identity.logout(account.session).await?;
    Ok((cookie.map(|cookie| cookie.cleared()), Reply::ok(&Nothing {})).into_response())
}

/// Sign out everywhere.
///
/// Revokes all tokens of all sessions, including this one. API keys remain valid.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout-all",
    operation_id = "logout_all",
    tag = "auth",
    params(
        ("X-Session" = Option<String>, Header, nullable = false, pattern = "^cookie$", description = "`cookie` also clears the cookie; for pages of this server only."),
    ),
    responses(
        (status = 200, description = "Number of sessions that were ended.", body = EndedSessions),
        (status = 403, description = "The request for a cookie is not from a page of this server."),
    ),
)]
pub(crate) async fn logout_all(
    account: Account,
    WantedCookie(cookie): WantedCookie,
) -> Result<Response, ApiError> {
    let ended = account.identity.logout_all(account.user).await?;
    Ok((cookie.map(|cookie| cookie.cleared()), Reply::ok(&EndedSessions { ended })).into_response())
}
