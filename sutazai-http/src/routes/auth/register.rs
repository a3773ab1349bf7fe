//! `POST /api/v1/auth/register`: a new user, signed in at once.

use axum::extract::State;
use sutazai_core::domain::NewUser;

use crate::app::App;
use crate::dto::auth::SignedInView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Json, UserAgent};

/// 201 with the user and their tokens; 409 naming the field that is taken, 422 naming the one that does not fit.
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    Json(new): Json<NewUser>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let user = identity.register(new).await?;
    let signed_in = identity.begin_session(user, user_agent.as_deref()).await?;
    Ok(Reply::created(&SignedInView::from(signed_in)))
}
