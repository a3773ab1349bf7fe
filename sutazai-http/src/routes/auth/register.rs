//! `POST /api/v1/auth/register`: creates a user and signs them in.

use axum::extract::State;
use axum::response::Response;
use sutazai_bodies::auth::SignedInView;
use sutazai_core::identity::Client;

use crate::app::App;
use crate::auth::session_cookie::WantedCookie;
use crate::dto::auth::Register;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, Json, UserAgent};
use crate::routes::auth::answer;

/// Register.
///
/// Creates a user and signs them in. While registration is closed, an admin's invitation is required.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    operation_id = "register",
    tag = "auth",
    params(
        ("X-Session" = Option<String>, Header, nullable = false, pattern = "^cookie$", description = "`cookie` puts the refresh token into a cookie instead of the response; for pages of this server only."),
    ),
    request_body = Register,
    responses(
        (status = 201, description = "The user was created and is signed in.", body = SignedInView),
        (status = 403, description = "Registration is closed, the invitation is unknown, used or expired, or the request for a cookie is not from a page of this server."),
        (status = 409, description = "The username or the e-mail address is taken; `details.field` says which."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    cookie: WantedCookie,
    Json(body): Json<Register>,
) -> Result<Response, ApiError> {
    let identity = app.require_identity()?;
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    let (new, invitation) = body.split();
    let user = identity.register(new, invitation.as_deref(), client).await?;
    let signed_in = identity.begin_session(user, user_agent.as_deref()).await?;
    Ok(answer(signed_in, cookie, Reply::created))
}
