//! `POST /api/v1/conversations`: creates a conversation.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::conversation::{ConversationView, CreateConversation};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::OptionalJson;

/// Create a conversation.
#[utoipa::path(
    post,
    path = "/api/v1/conversations",
    operation_id = "create_conversation",
    tag = "conversations",
    request_body = Option<CreateConversation>,
    responses((status = 201, description = "The conversation was created, without messages.", body = ConversationView)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    OptionalJson(body): OptionalJson<CreateConversation>,
) -> Result<Reply, ApiError> {
    let conversation = app.chat()?.begin(&caller, body.into()).await?;
    Ok(Reply::created(&ConversationView::from(conversation)))
}
