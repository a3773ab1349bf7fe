//! `GET /api/v1/conversations/{id}`: returns a conversation and one page of its messages.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ConversationId};

use crate::app::App;
use crate::dto::conversation::{ConversationWithMessages, ListPage};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Query};

/// Show a conversation and its latest messages.
#[utoipa::path(
    get,
    path = "/api/v1/conversations/{id}",
    operation_id = "show_conversation",
    tag = "conversations",
    params(("id" = Uuid, Path), ListPage),
    responses((status = 200, description = "The conversation with one page of messages, oldest first.", body = ConversationWithMessages)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
    Query(page): Query<ListPage>,
) -> Result<Reply, ApiError> {
    let chat = app.chat()?;
    let conversation = chat.conversation(&caller, id).await?;
    let messages = chat.messages(&caller, id, page.before()?, page.limit).await?;
    Ok(Reply::ok(&ConversationWithMessages::new(conversation, messages)))
}
