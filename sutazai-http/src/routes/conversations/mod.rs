//! `/api/v1/conversations`: conversations of users with a model.

pub(crate) mod ask_again;
pub(crate) mod say;

use axum::Extension;
use axum::extract::State;
use sutazai_bodies::conversation::{CreateConversation, RenameConversation};
use sutazai_core::domain::{Caller, ConversationCursor, ConversationId, MessageId};

use crate::app::App;
use crate::dto::conversation::{ConversationList, ConversationView, ConversationWithMessages};
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Json, OptionalJson, PageQuery};

/// List the caller's conversations.
#[utoipa::path(
    get,
    path = "/api/v1/conversations",
    operation_id = "list_conversations",
    tag = "conversations",
    params(PageQuery::<ConversationCursor>),
    responses((status = 200, description = "One page of conversations, the one with the latest message first.", body = ConversationList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PageQuery(page): PageQuery<ConversationCursor>,
) -> Result<Reply, ApiError> {
    let page = app.require_chat()?.list(&caller, None, page).await?;
    Ok(Reply::ok(&ConversationList::from(page)))
}

/// Create a conversation.
#[utoipa::path(
    post,
    path = "/api/v1/conversations",
    operation_id = "create_conversation",
    tag = "conversations",
    request_body = Option<CreateConversation>,
    responses((status = 201, description = "The conversation was created, without messages.", body = ConversationView)),
)]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    OptionalJson(body): OptionalJson<CreateConversation>,
) -> Result<Reply, ApiError> {
    let conversation = app.require_chat()?.begin(&caller, body.into()).await?;
    Ok(Reply::created(&ConversationView::from(conversation)))
}

/// Show a conversation and its latest messages.
#[utoipa::path(
    get,
    path = "/api/v1/conversations/{id}",
    operation_id = "show_conversation",
    tag = "conversations",
    params(("id" = Uuid, Path), PageQuery::<MessageId>),
    responses((status = 200, description = "The conversation with one page of messages, oldest first.", body = ConversationWithMessages)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
    PageQuery(page): PageQuery<MessageId>,
) -> Result<Reply, ApiError> {
    let chat = app.require_chat()?;
    let conversation = chat.conversation(&caller, id).await?;
    let messages = chat.messages(&caller, id, page).await?;
    Ok(Reply::ok(&ConversationWithMessages::new(conversation, messages)))
}

/// Rename a conversation.
#[utoipa::path(
    put,
    path = "/api/v1/conversations/{id}/title",
    operation_id = "rename_conversation",
    tag = "conversations",
    params(("id" = Uuid, Path)),
    request_body = RenameConversation,
    responses((status = 200, description = "The conversation with its new title.", body = ConversationView)),
)]
pub(crate) async fn rename(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
    Json(body): Json<RenameConversation>,
) -> Result<Reply, ApiError> {
    let conversation = app.require_chat()?.rename(&caller, id, body.title).await?;
    Ok(Reply::ok(&ConversationView::from(conversation)))
}

/// Delete a conversation and its messages.
#[utoipa::path(
    delete,
    path = "/api/v1/conversations/{id}",
    operation_id = "delete_conversation",
    tag = "conversations",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The conversation was deleted.", body = Deleted)),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
) -> Result<Reply, ApiError> {
    app.require_chat()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
