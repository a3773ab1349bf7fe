//! `POST /api/v1/auth/refresh`: a refresh token for a new pair of tokens.

use axum::extract::State;

use crate::app::App;
use crate::dto::auth::{Refresh, SignedInView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

/// Refresh.
///
/// A refresh token for a new pair of tokens; the old refresh token is spent.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    operation_id = "refresh",
    tag = "auth",
    request_body = Refresh,
    responses(
        (status = 200, description = "Both tokens are new.", body = SignedInView),
        (status = 401, description = "The refresh token is spent, expired or of an ended session."),
        (status = 403, description = "The user is disabled."),
    ),
)]
pub(crate) async fn handle(State(app): State<App>, Json(body): Json<Refresh>) -> Result<Reply, ApiError> {
    let signed_in = app.require_identity()?.refresh(&body.refresh_token).await?;
    Ok(Reply::ok(&SignedInView::from(signed_in)))
}
