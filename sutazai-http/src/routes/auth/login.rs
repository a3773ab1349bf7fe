//! `POST /api/v1/auth/login`: signs a user in and returns a pair of tokens.

use axum::extract::State;
use sutazai_core::identity::Client;

use crate::app::App;
use crate::dto::auth::{Login, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, Json, UserAgent};
use crate::monitoring::counts;

/// Sign in.
///
/// Exchanges a username or e-mail address and a password for an access token and a refresh token. The response does
/// not reveal whether the user exists.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    operation_id = "login",
    tag = "auth",
    request_body = Login,
    responses(
        (status = 200, description = "The user is signed in.", body = SignedInView),
        (status = 401, description = "The user is unknown or the password is wrong."),
        (status = 403, description = "The user is disabled."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    Json(body): Json<Login>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    let signed_in = identity.login_from(&body.login, &body.password, client).await;
    counts::login(&signed_in);
    Ok(Reply::ok(&SignedInView::from(signed_in?)))
}
