//! `POST /api/v1/auth/refresh`: exchanges a refresh token for a new pair of tokens.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sutazai_bodies::auth::{Refresh, SignedInView};
use sutazai_core::identity::Client;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::auth::session_cookie::WantedCookie;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, OptionalJson, UserAgent};
use crate::routes::auth::answer;

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
    params(
        ("X-Session" = Option<String>, Header, nullable = false, pattern = "^cookie$", description = "`cookie` reads the refresh token from the cookie, and puts the new one into it; for pages of this server only."),
    ),
    request_body = Option<Refresh>,
    responses(
        (status = 200, description = "A new access token and a new refresh token.", body = SignedInView),
        (status = 204, description = "The request for the token in the cookie has no cookie, so there is no session."),
        (status = 401, description = "The refresh token is spent or expired, or its session has ended; the cookie is cleared."),
        (status = 403, description = "The user is disabled, or the request for a cookie is not from a page of this server."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    cookie: WantedCookie,
    OptionalJson(body): OptionalJson<Refresh>,
) -> Result<Response, ApiError> {
    let identity = app.require_identity()?;
    let token = match (&cookie.0, &body.refresh_token) {
        (None, Some(token)) => token.as_str(),
        (None, None) => return Err(Error::invalid("refresh_token", "missing field `refresh_token`").into()),
        (Some(_), Some(_)) => {
            return Err(Error::invalid("refresh_token", "expected the token in the cookie only").into());
        }
        (Some(cookie), None) => match cookie.token() {
            Some(token) => token,
            None => return Ok(StatusCode::NO_CONTENT.into_response()),
        },
    };
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    match (identity.refresh_from(token, client).await, &cookie.0) {
        (Ok(signed_in), _) => Ok(answer(signed_in, cookie, Reply::ok)),
        // Its session is over for good. Without the cookie, the next page does not try again.
        (Err(e), Some(cookie)) if e.kind() == ErrorKind::Unauthenticated => {
            Ok((cookie.cleared(), ApiError::from(e)).into_response())
        }
        (Err(e), _) => Err(e.into()),
    }
}
