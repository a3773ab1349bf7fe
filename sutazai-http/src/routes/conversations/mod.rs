//! `/api/v1/conversations`: conversations of users with a model.

pub(crate) mod say;

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ConversationId};

use crate::app::App;
use crate::dto::conversation::{
    ConversationList, ConversationView, ConversationWithMessages, CreateConversation, ListPage,
};
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, OptionalJson, Query};

/// List the caller's conversations.
#[utoipa::path(
    get,
    path = "/api/v1/conversations",
    operation_id = "list_conversations",
    tag = "conversations",
    params(ListPage),
    responses((status = 200, description = "One page of conversations, newest first.", body = ConversationList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(page): Query<ListPage>,
) -> Result<Reply, ApiError> {
    let page = app.chat()?.list(&caller, page.conversations()?).await?;
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
    let conversation = app.chat()?.begin(&caller, body.into()).await?;
    Ok(Reply::created(&ConversationView::from(conversation)))
}

/// Show a conversation and its latest messages.
#[utoipa::path(
    get,
    path = "/api/v1/conversations/{id}",
    operation_id = "show_conversation",
    tag = "conversations",
    params(("id" = Uuid, Path), ListPage),
    responses((status = 200, description = "The conversation with one page of messages, oldest first.", body = ConversationWithMessages)),
)]
pub(crate) async fn show(
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
    app.chat()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
