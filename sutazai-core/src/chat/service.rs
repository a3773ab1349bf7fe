//! What callers can do with their conversations.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::answer::{Answer, Notebook};
use super::history;
use crate::bounds::{length, page};
use crate::domain::{
    Caller, ChatMessage, Conversation, ConversationId, ConversationPage, ConversationQuery, GenerateRequest,
    MessageId, MessagePage, NewConversation, NewMessage, Role, StoredMessage,
};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{ConversationStore, ModelBackend, ModelStream};

/// The longest title, in characters.
const TITLE: usize = 200;
/// The longest name of a model, in characters.
const MODEL: usize = 200;
/// The longest instructions, in characters.
const SYSTEM: usize = 10_000;
/// The longest message, in characters.
const MESSAGE: usize = 100_000;
/// The longest answer, in tokens.
const ANSWER: u32 = 32_768;
/// Latest messages that are looked at when the model is asked.
const LOOKED_AT: u32 = 200;
/// Content of one page of messages in bytes; the oldest message of a page may exceed it.
const PAGE_BYTES: u64 = 1_000_000;
/// How often a history that turns out too long is shortened by half.
const SHORTENED: u32 = 4;

/// Conversations with the engine's model. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Chat {
    store: Arc<dyn ConversationStore>,
    engine: Engine,
    max_conversations: Option<u32>,
    writing: TaskTracker,
}

impl Chat {
    /// Over this store, answered by the engine's model.
    pub fn new(store: Arc<dyn ConversationStore>, engine: Engine) -> Self {
        Self { store, engine, max_conversations: None, writing: TaskTracker::new() }
    }

    /// Limits the conversations of each user; default: any number.
    pub fn max_conversations_per_user(self, max: u32) -> Self {
        Self { max_conversations: Some(max), ..self }
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// `InvalidInput` naming what is too long; `Conflict` when the user has too many.
    pub async fn begin(&self, caller: &Caller, new: NewConversation) -> Result<Conversation> {
        length("title", &new.title, 0, TITLE)?;
        new.model.as_ref().map_or(Ok(()), |model| length("model", model, 1, MODEL))?;
        new.system.as_ref().map_or(Ok(()), |system| length("system", system, 1, SYSTEM))?;
        let now = self.engine.clock().now();
        let conversation = Conversation {
            id: ConversationId::new(),
            owner: caller.owner(),
            title: new.title,
            model: new.model,
            system: new.system,
            created_at: now,
            updated_at: now,
        };
        self.store.create_within(&conversation, self.max_conversations).await?;
        Ok(conversation)
    }

    /// A page of conversations, newest first; a user's own only.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` when it is not 1 to 100.
    pub async fn list(&self, caller: &Caller, mut query: ConversationQuery) -> Result<ConversationPage> {
        page(query.limit)?;
        if !caller.may_touch(query.owner) {
            query.owner = caller.owner();
        }
        self.store.list(&query).await
    }

    /// A conversation.
    ///
    /// # Errors
    /// `NotFound`, also for one that is not the caller's.
    pub async fn conversation(&self, caller: &Caller, id: ConversationId) -> Result<Conversation> {
        let found = self.store.get(id).await?.filter(|found| caller.may_touch(found.owner));
        found.ok_or_else(|| Error::not_found(format!("conversation {id}")))
    }

    /// The latest messages of a conversation, or the latest before one of them, oldest first. A page ends early with the
    /// message that brings its contents to 1 MB.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` naming `limit` when it is not 1 to 100.
    pub async fn messages(
        &self,
        caller: &Caller,
        id: ConversationId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<MessagePage> {
        page(limit)?;
        self.conversation(caller, id).await?;
        let items = self.store.messages(id, before, limit, PAGE_BYTES).await?;
        let bytes: usize = items.iter().map(|message| message.message.content.len()).sum();
        let ended_early = items.len() >= limit as usize || bytes as u64 >= PAGE_BYTES;
        let next = items.first().filter(|_| ended_early).map(|first| first.id);
        Ok(MessagePage { items, next })
    }

    /// Removes a conversation and its messages.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, caller: &Caller, id: ConversationId) -> Result<()> {
        self.conversation(caller, id).await?;
        self.store.delete(id).await
    }

    /// Says something; gives the message as it is kept, and the model's answer as it is written. The message is kept
    /// before the model is asked, and stays when that fails. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` naming what does not fit, `NotFound`, `Unavailable` when there is no model, and those of the
    /// model and its gate.
    pub async fn say(
        &self,
        caller: &Caller,
        id: ConversationId,
        new: NewMessage,
    ) -> Result<(StoredMessage, Answer)> {
        length("content", &new.content, 1, MESSAGE)?;
        if !(1..=ANSWER).contains(&new.max_tokens) {
            let message = format!("expected 1 to {ANSWER}, got {}", new.max_tokens);
            return Err(Error::invalid("max_tokens", message));
        }
        if !(0.0..=2.0).contains(&new.temperature) {
            return Err(Error::invalid("temperature", format!("expected 0 to 2, got {}", new.temperature)));
        }
        let conversation = self.conversation(caller, id).await?;
        let model = self.engine.model_for(caller).ok_or_else(|| {
            Error::unavailable("no model backend is configured").with_field("MODEL_BACKENDS")
        })?;
        let clock = self.engine.clock();
        let said = StoredMessage::new(id, Role::User, new.content, clock.now());
        self.store.append(&said).await?;
        let models = model.models().await.unwrap_or_default();
        let budget = history::budget(&models, conversation.model.as_deref(), new.max_tokens);
        let mut history = self.store.messages(id, None, LOOKED_AT, history::bytes(budget)).await?;
        // What was added since belongs to requests that came at the same time: this one is about its own message.
        match history.iter().position(|message| message.id == said.id) {
            Some(at) => history.truncate(at + 1),
            None => history.push(said.clone()),
        }
        let request = GenerateRequest {
            model: conversation.model.clone(),
            max_tokens: new.max_tokens,
            temperature: Some(new.temperature),
            ..GenerateRequest::new(Vec::new())
        };
        let stream = ask(&*model, &conversation, history, budget, request).await?;
        let notebook = Notebook { store: self.store.clone(), clock, conversation: id };
        let (answer, writing) = notebook.take_down(stream);
        self.writing.spawn(writing.in_current_span());
        Ok((said, answer))
    }

    /// Waits until every answer is kept. Call it when nobody can say anything any more.
    pub async fn finish(&self) {
        self.writing.close();
        self.writing.wait().await;
    }
}

/// Asks with as much of the history as fits. How many tokens a text has only the model knows: where the estimate was too
/// low, it refuses the messages, and is asked with half of them.
async fn ask(
    model: &dyn ModelBackend,
    conversation: &Conversation,
    history: Vec<StoredMessage>,
    mut budget: usize,
    request: GenerateRequest,
) -> Result<ModelStream> {
    let mut shortened = 0;
    loop {
        let messages: Vec<ChatMessage> = history::fit(conversation, &history, budget);
        match model.generate(GenerateRequest { messages, ..request.clone() }).await {
            Err(e) if too_long(&e) && shortened < SHORTENED => {
                shortened += 1;
                budget /= 2;
            }
            answer => return answer,
        }
    }
}

fn too_long(e: &Error) -> bool {
    e.kind() == ErrorKind::ContextLength
}
