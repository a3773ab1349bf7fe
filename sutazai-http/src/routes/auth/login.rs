//! `POST /api/v1/auth/login`: a name and a password for a pair of tokens.

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
/// A name and a password for a pair of tokens. An unknown user and a wrong password are told apart by nothing.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    operation_id = "login",
    tag = "auth",
    request_body = Login,
    responses(
        (status = 200, description = "Signed in.", body = SignedInView),
        (status = 401, description = "An unknown user or a wrong password."),
        (status = 403, description = "The user is disabled."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to come again."),
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
