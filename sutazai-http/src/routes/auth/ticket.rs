//! `POST /api/v1/auth/ticket`: a ticket for the address of a stream.

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

/// Make a ticket for a stream.
///
/// It stands for the caller's token or key, once, in the address of a stream that is opened within 30 seconds.
#[utoipa::path(
    post,
    path = "/api/v1/auth/ticket",
    operation_id = "create_ticket",
    tag = "auth",
    responses(
        (status = 201, description = "The ticket.", body = TicketView),
        (status = 429, description = "Too many of the caller's tickets are unused."),
        (status = 503, description = "Too many tickets are unused."),
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
