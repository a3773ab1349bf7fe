//! Operations of callers on their conversations.

use std::sync::Arc;

use tracing::Instrument;

use super::answer::{Answer, AnswerRecorder};
use super::history;
use crate::domain::{
    Caller, ChatMessage, Conversation, ConversationCursor, ConversationId, GenerateRequest, MessageId,
    MessageQuota, NewAnswer, NewConversation, NewMessage, Page, PageRequest, Role, StoredMessage, UserId,
};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{ConversationStore, ModelBackend, ModelStream};
use crate::validation::length;

/// Maximum length of a title in characters.
const TITLE: usize = 200;
/// Maximum length of a title that is made of the first words of a message, in characters.
const FIRST_WORDS: usize = 60;
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
///
/// # Cancel safety
/// A method that only reads can be dropped at any time; one that changes a conversation has its whole effect or none,
/// possibly after the future is dropped. [`say`](Self::say) is the exception.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use sutazai_core::chat::Chat;
/// use sutazai_core::domain::{Caller, NewConversation, PageRequest};
/// use sutazai_core::engine::Engine;
/// use sutazai_core::memory::MemoryConversationStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let engine = Engine::builder().build()?;
/// let chat = Chat::new(Arc::new(MemoryConversationStore::new()), engine);
/// let new = NewConversation { title: "disks".into(), model: None, system: None };
/// let conversation = chat.begin(&Caller::System, new).await?;
/// let messages = chat.messages(&Caller::System, conversation.id, PageRequest::default()).await?;
/// assert!(messages.items.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Chat {
    store: Arc<dyn ConversationStore>,
    engine: Engine,
    max_conversations: Option<u32>,
    messages: Option<MessageQuota>,
}

impl Chat {
    /// Creates a chat over this store, answered by the engine's model.
    pub fn new(store: Arc<dyn ConversationStore>, engine: Engine) -> Self {
        Self { store, engine, max_conversations: None, messages: None }
    }

    /// Limits the number of conversations of each user; default: unlimited.
    #[must_use]
    pub fn max_conversations_per_user(self, max: u32) -> Self {
        Self { max_conversations: Some(max), ..self }
    }

    /// Limits the messages of each user and their bytes, over all conversations; default: any number. An answer is kept
    /// whatever the quota: it counts for the next message.
    #[must_use]
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

    /// Returns one page of the conversations of `owner`, or of all, the one with the latest message first; users see only
    /// their own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(
        &self,
        caller: &Caller,
        owner: Option<UserId>,
        page: PageRequest<ConversationCursor>,
    ) -> Result<Page<Conversation, ConversationCursor>> {
        let owner = if caller.may_touch(owner) { owner } else { caller.owner() };
        self.store.list(owner, page).await
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
    /// `NotFound`, also for a conversation that the caller may not see.
    pub async fn messages(
        &self,
        caller: &Caller,
        id: ConversationId,
        page: PageRequest<MessageId>,
    ) -> Result<Page<StoredMessage, MessageId>> {
        self.conversation(caller, id).await?;
        let limit = page.limit.get();
        let items = self.store.messages(id, page.cursor, limit, PAGE_BYTES).await?;
        let bytes: usize = items.iter().map(|message| message.message.content.len()).sum();
        let ended_early = items.len() >= limit as usize || bytes as u64 >= PAGE_BYTES;
        let next = items.first().filter(|_| ended_early).map(|first| first.id);
        Ok(Page { items, next })
    }

    /// Sets the title of a conversation and returns it.
    ///
    /// # Errors
    /// `InvalidInput` naming `title` if it has more than 200 characters; `NotFound`, also for a conversation that the
    /// caller may not see.
    pub async fn rename(&self, caller: &Caller, id: ConversationId, title: String) -> Result<Conversation> {
        length("title", &title, 0, TITLE)?;
        let conversation = self.conversation(caller, id).await?;
        self.store.rename(id, &title).await?;
        Ok(Conversation { title, ..conversation })
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
    /// model is called, and stays if that fails. A conversation without a title gets the first words of the message as
    /// its title.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field, `NotFound`, `Conflict` when a quota of the user is used up, `Unavailable`
    /// without a model, and those of the model and its admission control.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, in which the answer is recorded.
    ///
    /// # Cancel safety
    /// A dropped future may have stored the message without an answer. Once it has returned, the answer is recorded
    /// until the [`Answer`] is dropped, which stops the model and stores the text generated so far.
    pub async fn say(
        &self,
        caller: &Caller,
        id: ConversationId,
        new: NewMessage,
    ) -> Result<(StoredMessage, Answer)> {
        length("content", &new.content, 1, MESSAGE)?;
        check(&new.answer)?;
        let conversation = self.conversation(caller, id).await?;
        let model = self.model(caller)?;
        let said = StoredMessage::new(id, Role::User, new.content, self.engine.clock().now());
        self.store.append_within(&said, self.messages).await?;
        if conversation.title.is_empty() {
            self.store.rename(id, &first_words(&said.message.content)).await?;
        }
        let answer = self.answer(&*model, &conversation, &said, new.answer).await?;
        Ok((said, answer))
    }

    /// Asks the model again about the latest message of the user; returns that message, with the stream of the new
    /// answer. Earlier answers stay, but the model is not shown them.
    ///
    /// # Errors
    /// `Conflict` if the conversation has no message of the user; otherwise those of [`say`](Self::say).
    ///
    /// # Panics
    /// Those of [`say`](Self::say).
    ///
    /// # Cancel safety
    /// Once it has returned, the answer is recorded until the [`Answer`] is dropped, as with [`say`](Self::say).
    pub async fn ask_again(
        &self,
        caller: &Caller,
        id: ConversationId,
        new: NewAnswer,
    ) -> Result<(StoredMessage, Answer)> {
        check(&new)?;
        let conversation = self.conversation(caller, id).await?;
        let model = self.model(caller)?;
        let latest = self.store.messages(id, None, LOOKED_AT, PAGE_BYTES).await?;
        let said = latest.into_iter().rfind(|message| message.message.role == Role::User);
        let said =
            said.ok_or_else(|| Error::conflict("the conversation has no message that could be answered"))?;
        let answer = self.answer(&*model, &conversation, &said, new).await?;
        Ok((said, answer))
    }

    fn model(&self, caller: &Caller) -> Result<Arc<dyn ModelBackend>> {
        let missing = || Error::unavailable("no model backend is configured").with_field("MODEL_BACKENDS");
        self.engine.model_for(caller).ok_or_else(missing)
    }

    /// Starts and records the answer to a stored message.
    async fn answer(
        &self,
        model: &dyn ModelBackend,
        conversation: &Conversation,
        said: &StoredMessage,
        new: NewAnswer,
    ) -> Result<Answer> {
        let (id, clock) = (conversation.id, self.engine.clock());
        let models = model.models().await.unwrap_or_default();
        let budget = history::budget(&models, conversation.model.as_deref(), new.max_tokens);
        // Later messages belong to concurrent requests, or are earlier answers: this answer is about its own message.
        let mut history = self.store.messages(id, Some(said.id), LOOKED_AT, history::bytes(budget)).await?;
        history.push(said.clone());
        let request = GenerateRequest {
            model: conversation.model.clone(),
            max_tokens: new.max_tokens,
            temperature: Some(new.temperature),
            ..GenerateRequest::new(Vec::new())
        };
        let stream = ask(model, conversation, history, budget, request).await?;
        let notebook = AnswerRecorder { store: self.store.clone(), clock, conversation: id };
        let (answer, writing) = notebook.record(stream);
        // Of the engine, because its shutdown waits until the answer is stored.
        self.engine.spawn("answer recorder", writing.in_current_span());
        Ok(answer)
    }
}

/// Checks the parameters of an answer.
///
/// # Errors
/// `InvalidInput` naming the invalid field.
fn check(new: &NewAnswer) -> Result<()> {
    if !(1..=ANSWER).contains(&new.max_tokens) {
        return Err(Error::invalid("max_tokens", format!("expected 1 to {ANSWER}, got {}", new.max_tokens)));
    }
    if !(0.0..=2.0).contains(&new.temperature) {
        return Err(Error::invalid("temperature", format!("expected 0 to 2, got {}", new.temperature)));
    }
    Ok(())
}

/// Returns the first words of a message, at most 60 characters, as the title of its conversation.
fn first_words(content: &str) -> String {
    let mut title = String::new();
    let mut chars = 0;
    for word in content.split_whitespace() {
        let needed = word.chars().count() + usize::from(chars > 0);
        if chars + needed > FIRST_WORDS {
            // A first word that does not fit, such as an address, is cut.
            let cut = if chars == 0 { word.chars().take(FIRST_WORDS).collect() } else { title };
            return cut + "…";
        }
        if chars > 0 {
            title.push(' ');
        }
        title.push_str(word);
        chars += needed;
    }
    title
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_is_made_of_whole_first_words() {
        for (content, title) in [
            ("Why is the sea salty?", "Why is the sea salty?"),
            ("  Why\n\nis  the sea\tsalty? ", "Why is the sea salty?"),
            ("\n", ""),
        ] {
            assert_eq!(first_words(content), title);
        }
        let words = "salty ".repeat(20);
        assert_eq!(first_words(&words), format!("{}…", ["salty"; 10].join(" ")));
        let long = "ä".repeat(61);
        assert_eq!(first_words(&long), format!("{}…", "ä".repeat(60)));
        assert_eq!(first_words(&"ä".repeat(60)), "ä".repeat(60));
    }
}
