//! `POST /api/v1/auth/password`: a new password in the place of the old one.

use serde_json::json;

use crate::dto::account::ChangePassword;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{Account, Json};

/// 200 with the number of other sessions, which have ended; 403 when the current password is another; 422 when the new
/// one will not do; 503 when too many sign in at once.
pub(crate) async fn handle(account: Account, Json(body): Json<ChangePassword>) -> Result<Reply, ApiError> {
    let ended = account
        .identity
        .change_password(account.user, account.session, &body.current_password, &body.new_password)
        .await?;
    Ok(Reply::ok(&json!({ "ended": ended })))
}
