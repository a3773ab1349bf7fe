//! `POST /api/v1/auth/refresh`: a refresh token for a new pair of tokens.

use axum::extract::State;

use crate::app::App;
use crate::dto::auth::{Refresh, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

/// 200 with the user and their new tokens; the old refresh token is spent. 401 when it is not good.
pub(crate) async fn handle(State(app): State<App>, Json(body): Json<Refresh>) -> Result<Reply, ApiError> {
    let signed_in = app.require_identity()?.refresh(&body.refresh_token).await?;
    Ok(Reply::ok(&SignedInView::from(signed_in)))
}
