//! `DELETE /api/v1/conversations/{id}`: deletes a conversation and its messages.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ConversationId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Delete a conversation and its messages.
#[utoipa::path(
    delete,
    path = "/api/v1/conversations/{id}",
    operation_id = "delete_conversation",
    tag = "conversations",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The conversation was deleted.", body = Deleted)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
) -> Result<Reply, ApiError> {
    app.chat()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
