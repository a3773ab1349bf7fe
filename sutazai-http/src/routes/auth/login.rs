//! `POST /api/v1/auth/login`: a name and a password for a pair of tokens.

use axum::extract::State;

use crate::app::App;
use crate::dto::auth::{Login, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Json, UserAgent};
use crate::monitoring::counts;

/// 200 with the user and their tokens; 401 for an unknown user and for a wrong password alike; 403 for
/// a disabled user; 503 when too many
/// sign in at once.
pub(crate) async fn handle(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    Json(body): Json<Login>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let signed_in = identity.login(&body.login, &body.password, user_agent.as_deref()).await;
    counts::login(&signed_in);
    Ok(Reply::ok(&SignedInView::from(signed_in?)))
}
