//! `POST /api/v1/auth/login`: signs a user in and returns a pair of tokens.

use axum::extract::State;
use axum::response::Response;
use sutazai_bodies::auth::{Login, SignedInView};
use sutazai_core::identity::Client;

use crate::app::App;
use crate::auth::session_cookie::WantedCookie;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, Json, UserAgent};
use crate::monitoring::counts;
use crate::routes::auth::answer;

/// Sign in.
///
/// Exchanges a username or e-mail address and a password for an access token and a refresh token. The response does
/// not reveal whether the user exists.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    operation_id = "login",
    tag = "auth",
    params(
        ("X-Session" = Option<String>, Header, nullable = false, pattern = "^cookie$", description = "`cookie` puts the refresh token into a cookie instead of the response; for pages of this server only."),
    ),
    request_body = Login,
    responses(
        (status = 200, description = "The user is signed in.", body = SignedInView),
        (status = 401, description = "The user is unknown or the password is wrong."),
        (status = 403, description = "The user is disabled, or the request for a cookie is not from a page of this server."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    cookie: WantedCookie,
    Json(body): Json<Login>,
) -> Result<Response, ApiError> {
    let identity = app.require_identity()?;
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    let signed_in = identity.login_from(&body.login, &body.password, client).await;
    counts::login(&signed_in);
    Ok(answer(signed_in?, cookie, Reply::ok))
}
