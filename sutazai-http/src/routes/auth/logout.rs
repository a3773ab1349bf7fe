//! `POST /api/v1/auth/logout`: ends the session that the access token belongs to.

use axum::Extension;
use axum::extract::State;
use serde_json::json;
use sutazai_core::identity::Authenticated;

use crate::app::App;
use crate::envelope::Reply;
use crate::error::ApiError;

/// 200; both tokens of the session are refused from now on.
pub(crate) async fn handle(
    State(app): State<App>,
    authenticated: Option<Extension<Authenticated>>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    if let Some(Extension(authenticated)) = authenticated {
        identity.logout(authenticated.claims.sid).await?;
    }
    Ok(Reply::ok(&json!({})))
}
