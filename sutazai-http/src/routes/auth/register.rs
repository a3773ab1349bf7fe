//! `POST /api/v1/auth/register`: a new user, signed in at once.

use axum::extract::State;

use crate::app::App;
use crate::dto::auth::{Register, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Json, UserAgent};

/// Register.
///
/// A new user, signed in at once.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    operation_id = "register",
    tag = "auth",
    request_body = Register,
    responses(
        (status = 201, description = "A new user, signed in.", body = SignedInView),
        (status = 409, description = "The name or the address is taken; `details.field` says which."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to come again."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    Json(body): Json<Register>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let user = identity.register(body.into()).await?;
    let signed_in = identity.begin_session(user, user_agent.as_deref()).await?;
    Ok(Reply::created(&SignedInView::from(signed_in)))
}
