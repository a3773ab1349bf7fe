//! `POST /api/v1/auth/ticket`: a ticket for the address of a stream.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::json;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::auth::credential::Credential;
use crate::auth::tickets::LIFE;
use crate::envelope::Reply;
use crate::error::ApiError;

/// 201 with a ticket that stands for the caller's token or key, once, on a stream opened within 30 seconds; 429 when too
/// many of theirs are unused.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Reply, ApiError> {
    app.require_identity()?;
    let credential = Credential::of(&headers)?;
    let ticket = app.tickets().issue(caller.owner(), credential, app.engine().clock().now())?;
    Ok(Reply::created(&json!({ "ticket": ticket, "expires_in": LIFE.as_secs() })))
}
