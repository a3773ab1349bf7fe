//! Requests about stored conversations with a model, without an owner.

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::Result;
use sutazai::chat::ChatEvent;
use sutazai::domain::{
    Conversation, ConversationCursor, ConversationId, NewAnswer, NewConversation, NewMessage, Page,
    PageRequest, StoredMessage,
};
use sutazai::external::futures::{StreamExt, TryStreamExt};

use super::{Answer, Id, MAX_PAGE, PageBody, answer, id, nothing, page, unknown_cursor};
use crate::local::Local;
use crate::stream::Items;

#[derive(Debug, Deserialize)]
pub(super) struct Begin {
    title: String,
    model: Option<String>,
    system: Option<String>,
}

pub(super) async fn begin(local: &Local, body: Begin) -> Answer {
    let new = NewConversation { title: body.title, model: body.model, system: body.system };
    answer(&view(&local.chat.begin(&local.caller, new).await?))
}

pub(super) async fn list(local: &Local, body: PageBody) -> Answer {
    let cursor = body.cursor.as_deref().map(|text| cursor(text).ok_or_else(unknown_cursor)).transpose()?;
    let request = PageRequest::new(cursor, body.limit.unwrap_or(MAX_PAGE))?;
    let found = local.chat.list(&local.caller, None, request).await?;
    let next = found.next.map(|next| format!("{} {}", next.updated_at.to_rfc3339(), next.id));
    page(Page { items: found.items.iter().map(view).collect(), next })
}

/// Reads the cursor of a page: the time and the id of its last conversation.
fn cursor(text: &str) -> Option<ConversationCursor> {
    let (time, id) = text.split_once(' ')?;
    Some(ConversationCursor { updated_at: time.parse().ok()?, id: id.parse().ok()? })
}

pub(super) async fn get(local: &Local, body: Id) -> Answer {
    answer(&view(&local.chat.conversation(&local.caller, conversation_id(&body.id)?).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Messages {
    #[serde(flatten)]
    id: Id,
    #[serde(flatten)]
    page: PageBody,
}

pub(super) async fn messages(local: &Local, body: Messages) -> Answer {
    let id = conversation_id(&body.id.id)?;
    let found = local.chat.messages(&local.caller, id, body.page.request()?).await?;
    page(Page { items: found.items.iter().map(message).collect(), next: found.next })
}

#[derive(Debug, Deserialize)]
pub(super) struct Rename {
    id: String,
    title: String,
}

pub(super) async fn rename(local: &Local, body: Rename) -> Answer {
    let id = conversation_id(&body.id)?;
    answer(&view(&local.chat.rename(&local.caller, id, body.title).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Say {
    id: String,
    /// Message to answer; `None` for another answer to the latest one.
    text: Option<String>,
    max_tokens: u32,
    temperature: f32,
}

/// Opens the answer to a message: pieces of text, then the usage of the answer as it is stored.
pub(super) async fn say(local: &Local, body: Say) -> Result<Items> {
    let id = conversation_id(&body.id)?;
    let answer = NewAnswer { max_tokens: body.max_tokens, temperature: body.temperature };
    let (_, events) = match body.text {
        Some(content) => local.chat.say(&local.caller, id, NewMessage { content, answer }).await?,
        None => local.chat.ask_again(&local.caller, id, answer).await?,
    };
    let view = |event| match event {
        ChatEvent::Text(text) => json!({ "text": text }),
        ChatEvent::Done(stored) => json!({ "usage": stored.usage }),
    };
    Ok(events.map_ok(view).boxed())
}

pub(super) async fn delete(local: &Local, body: Id) -> Answer {
    local.chat.delete(&local.caller, conversation_id(&body.id)?).await?;
    nothing()
}

fn conversation_id(text: &str) -> Result<ConversationId> {
    id("conversation", text)
}

fn view(conversation: &Conversation) -> Value {
    json!({
        "id": conversation.id,
        "title": conversation.title,
        "model": conversation.model,
        "system": conversation.system,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    })
}

fn message(stored: &StoredMessage) -> Value {
    json!({
        "id": stored.id,
        "role": stored.message.role,
        "content": stored.message.content,
        "created_at": stored.created_at,
        "cut": stored.cut,
        "usage": stored.usage,
    })
}
