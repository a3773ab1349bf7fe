//! `POST /api/v1/auth/register`: creates a user and signs them in.

use axum::extract::State;
use sutazai_core::identity::Client;

use crate::app::App;
use crate::dto::auth::{Register, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, Json, UserAgent};

/// Register.
///
/// Creates a user and signs them in. While registration is closed, an admin's invitation is required.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    operation_id = "register",
    tag = "auth",
    request_body = Register,
    responses(
        (status = 201, description = "The user was created and is signed in.", body = SignedInView),
        (status = 403, description = "Registration is closed, or the invitation is unknown, used or expired."),
        (status = 409, description = "The username or the e-mail address is taken; `details.field` says which."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    Json(body): Json<Register>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    let (new, invitation) = body.split();
    let user = identity.register(new, invitation.as_deref(), client).await?;
    let signed_in = identity.begin_session(user, user_agent.as_deref()).await?;
    Ok(Reply::created(&SignedInView::from(signed_in)))
}
