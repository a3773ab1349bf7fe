//! `POST /api/v1/auth/login`: a name and a password for a pair of tokens.

use axum::extract::State;

use crate::app::App;
use crate::dto::auth::{Login, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

/// 200 with the user and their tokens; 401 for an unknown user and for a wrong password alike; 503 when too many
/// sign in at once.
pub(crate) async fn handle(State(app): State<App>, Json(body): Json<Login>) -> Result<Reply, ApiError> {
    let signed_in = app.require_identity()?.login(&body.login, &body.password).await?;
    Ok(Reply::ok(&SignedInView::from(signed_in)))
}
