//! `POST /api/v1/auth/refresh`: exchanges a refresh token for a new pair of tokens.

use axum::extract::State;
use sutazai_core::identity::Client;

use crate::app::App;
use crate::dto::auth::{Refresh, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, Json, UserAgent};

/// Refresh the tokens.
///
/// Exchanges a refresh token for a new access token and a new refresh token; the old refresh token is spent. A client
/// that received no response may repeat the request within 30 seconds, from the same address and with the same
/// `User-Agent`, and receives the same new refresh token. Any other use of a spent token ends its session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    operation_id = "refresh",
    tag = "auth",
    request_body = Refresh,
    responses(
        (status = 200, description = "A new access token and a new refresh token.", body = SignedInView),
        (status = 401, description = "The refresh token is spent or expired, or its session has ended."),
        (status = 403, description = "The user is disabled."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    Json(body): Json<Refresh>,
) -> Result<Reply, ApiError> {
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    let signed_in = app.require_identity()?.refresh_from(&body.refresh_token, client).await?;
    Ok(Reply::ok(&SignedInView::from(signed_in)))
}
