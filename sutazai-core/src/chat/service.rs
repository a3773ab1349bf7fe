//! Operations of callers on their conversations.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::answer::{Answer, AnswerRecorder};
use super::history;
use crate::domain::{
    Caller, ChatMessage, Conversation, ConversationId, ConversationPage, ConversationQuery, GenerateRequest,
    MessageId, MessagePage, MessageQuota, NewConversation, NewMessage, Role, StoredMessage,
};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{ConversationStore, ModelBackend, ModelStream};
use crate::validation::{length, page};

/// Maximum length of a title in characters.
const TITLE: usize = 200;
/// Maximum length of a model name in characters.
const MODEL: usize = 200;
/// Maximum length of a system prompt in characters.
const SYSTEM: usize = 10_000;
/// Maximum length of a message in characters.
const MESSAGE: usize = 100_000;
/// Maximum number of tokens of an answer.
const ANSWER: u32 = 32_768;
/// Number of latest messages considered for the history.
const LOOKED_AT: u32 = 200;
/// Maximum size of the contents on one page of messages in bytes; its oldest message may exceed it.
const PAGE_BYTES: u64 = 1_000_000;
/// Number of times that a history rejected as too long is halved.
const SHORTENED: u32 = 4;

/// Conversations with the engine's model. Cheap to clone; all clones share their state.
#[derive(Debug, Clone)]
pub struct Chat {
    store: Arc<dyn ConversationStore>,
    engine: Engine,
    max_conversations: Option<u32>,
    messages: Option<MessageQuota>,
    writing: TaskTracker,
}

impl Chat {
    /// Creates a chat over this store, answered by the engine's model.
    pub fn new(store: Arc<dyn ConversationStore>, engine: Engine) -> Self {
        Self { store, engine, max_conversations: None, messages: None, writing: TaskTracker::new() }
    }

    /// Limits the number of conversations of each user; default: unlimited.
    pub fn max_conversations_per_user(self, max: u32) -> Self {
        Self { max_conversations: Some(max), ..self }
    }

    /// Limits the messages of each user and their bytes, over all conversations; default: any number. An answer is kept
    /// whatever the quota: it counts for the next message.
    pub fn message_quota_per_user(self, quota: MessageQuota) -> Self {
        Self { messages: Some(quota), ..self }
    }

    /// Creates a conversation for this caller.
    ///
    /// # Errors
    /// `InvalidInput` naming the field that is too long; `Conflict` if the user has too many conversations.
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

    /// Returns one page of conversations, newest first; users see only their own.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` if it is not 1 to 100.
    pub async fn list(&self, caller: &Caller, mut query: ConversationQuery) -> Result<ConversationPage> {
        page(query.limit)?;
        if !caller.may_touch(query.owner) {
            query.owner = caller.owner();
        }
        self.store.list(&query).await
    }

    /// Returns the conversation with this id.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn conversation(&self, caller: &Caller, id: ConversationId) -> Result<Conversation> {
        let found = self.store.get(id).await?.filter(|found| caller.may_touch(found.owner));
        found.ok_or_else(|| Error::not_found(format!("conversation {id}")))
    }

    /// Returns the latest messages of a conversation, or the latest before one of them, oldest first. A page ends early
    /// with the message that brings its contents to 1 MB.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` naming `limit` if it is not 1 to 100.
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
    /// `NotFound`, also for one that the caller may not see.
    pub async fn delete(&self, caller: &Caller, id: ConversationId) -> Result<()> {
        self.conversation(caller, id).await?;
        self.store.delete(id).await
    }

    /// Adds a message; returns it as stored, with the stream of the model's answer. The message is stored before the
    /// model is called, and stays if that fails. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field, `NotFound`, `Conflict` when a quota of the user is used up, `Unavailable`
    /// without a model, and those of the model and its admission control.
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
        self.store.append_within(&said, self.messages).await?;
        let models = model.models().await.unwrap_or_default();
        let budget = history::budget(&models, conversation.model.as_deref(), new.max_tokens);
        let mut history = self.store.messages(id, None, LOOKED_AT, history::bytes(budget)).await?;
        // Later messages belong to concurrent requests: this answer is about its own message.
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
        let notebook = AnswerRecorder { store: self.store.clone(), clock, conversation: id };
        let (answer, writing) = notebook.record(stream);
        self.writing.spawn(writing.in_current_span());
        Ok((said, answer))
    }

    /// Waits until all answers are stored. To be called when no more messages can be added.
    pub async fn finish(&self) {
        self.writing.close();
        self.writing.wait().await;
    }
}

/// Calls the model with as much of the history as fits. Only the model knows how many tokens a text has: if the
/// estimate was too low, it rejects the messages and is called again with half of the budget.
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
