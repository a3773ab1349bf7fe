//! `POST /api/v1/auth/ticket`: issues a stream ticket.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::auth::credential::Credential;
use crate::auth::tickets::LIFE;
use crate::dto::ticket::TicketView;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Create a stream ticket.
///
/// A ticket replaces the access token or API key in the URL of one stream, for clients that cannot set headers. It is
/// valid for 30 seconds and for one use, on the server that issued it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/ticket",
    operation_id = "create_ticket",
    tag = "auth",
    responses(
        (status = 201, description = "The ticket was created.", body = TicketView),
        (status = 429, description = "32 tickets of this user are unused."),
        (status = 503, description = "Too many tickets of all users are unused."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Reply, ApiError> {
    app.require_identity()?;
    let credential = Credential::of(&headers)?;
    let ticket = app.tickets().issue(caller.owner(), credential, app.engine().clock().now())?;
    Ok(Reply::created(&TicketView { ticket, expires_in: LIFE.as_secs() }))
}
