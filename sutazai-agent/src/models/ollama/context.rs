//! How large a context a request needs, in tokens.
//!
//! Ollama has no way to count tokens, so that what a text needs is estimated from above: two letters of ASCII, or one byte
//! of anything else, for each token. English has four or five letters.

use serde_json::Value;
use sutazai_core::domain::GenerateRequest;
use sutazai_core::{Error, Result};

/// The smallest context that Ollama gives a model where a request asks for none. A larger one than a model has in memory
/// makes it load the model anew, so that small requests ask for none.
const DEFAULT_CONTEXT: u32 = 2_048;

/// The smallest context that is asked for. Those above are powers of two, so that the model is seldom loaded anew.
const MIN_CONTEXT: u32 = 4_096;

/// The largest context that is asked for, unless the model's own settings have a larger one: its memory grows with it.
const MAX_CONTEXT: u32 = 32_768;

/// Tokens that a chat template puts around each message, generously.
const TOKENS_AROUND_MESSAGE: u32 = 16;

/// What a request asks of the context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Context {
    /// The size of the context.
    pub(super) num_ctx: u32,
    /// The longest answer: beyond the context Ollama would forget the beginning and go on.
    pub(super) num_predict: u32,
}

impl Context {
    /// Whether messages and answer fit into every context that Ollama gives by itself.
    pub(super) fn default_fits(request: &GenerateRequest) -> bool {
        of_messages(request).saturating_add(request.max_tokens) <= DEFAULT_CONTEXT
    }

    /// Whether each of the texts does.
    pub(super) fn default_holds(texts: &[String]) -> bool {
        of_longest(texts) <= DEFAULT_CONTEXT
    }
}

/// What a model has of context, as far as the server says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ModelContext {
    /// What it was trained on.
    trained: Option<u32>,
    /// What its own settings ask for.
    set: Option<u32>,
}

impl ModelContext {
    /// As `/api/show` tells it.
    pub(super) fn of(shown: &Value) -> Self {
        let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let mut of_model = shown["model_info"].as_object().into_iter().flatten();
        let trained = of_model.find(|(key, _)| key.ends_with(".context_length"));
        let settings = shown["parameters"].as_str().unwrap_or_default();
        let set = settings.lines().find_map(|line| line.trim().strip_prefix("num_ctx"));
        Self {
            trained: trained.and_then(|(_, value)| number(value)),
            set: set.and_then(|size| size.trim().parse().ok()),
        }
    }

    /// The largest context that a request may ask for, where the server says what the model has.
    pub(super) fn known(self) -> Option<u32> {
        self.trained.map(|trained| trained.min(MAX_CONTEXT.max(self.set.unwrap_or_default())))
    }

    fn largest(self) -> u32 {
        self.known().unwrap_or(MAX_CONTEXT)
    }

    /// A context that holds the messages, and the answer as far as there is room.
    ///
    /// # Errors
    /// `ContextLength` naming `messages`.
    pub(super) fn for_chat(self, request: &GenerateRequest) -> Result<Context> {
        let (messages, largest) = (of_messages(request), self.largest());
        if messages >= largest {
            let message = format!(
                "expected messages of at most {largest} tokens for this model, got up to {messages}; ollama would cut them"
            );
            return Err(Error::context_length("messages", message));
        }
        let num_ctx = rounded(messages.saturating_add(request.max_tokens)).min(largest);
        Ok(Context { num_ctx, num_predict: request.max_tokens.min(num_ctx - messages) })
    }

    /// A context that holds each of the texts, or the largest there is: Ollama refuses a text that it would have to cut.
    pub(super) fn for_texts(self, texts: &[String]) -> u32 {
        rounded(of_longest(texts)).min(self.largest())
    }
}

fn rounded(tokens: u32) -> u32 {
    tokens.checked_next_power_of_two().unwrap_or(u32::MAX).max(MIN_CONTEXT)
}

fn of_messages(request: &GenerateRequest) -> u32 {
    let each = |content: &str| of_text(content).saturating_add(TOKENS_AROUND_MESSAGE);
    request.messages.iter().fold(0, |sum: u32, message| sum.saturating_add(each(&message.content)))
}

fn of_longest(texts: &[String]) -> u32 {
    texts.iter().map(|text| of_text(text)).max().unwrap_or_default().saturating_add(TOKENS_AROUND_MESSAGE)
}

/// The most tokens that a text is expected to have.
fn of_text(text: &str) -> u32 {
    let letters = text.bytes().filter(|byte| byte.is_ascii_alphabetic() || *byte == b' ').count();
    u32::try_from(letters.div_ceil(2) + (text.len() - letters)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sutazai_core::ErrorKind;
    use sutazai_core::domain::ChatMessage;

    use super::*;

    fn ask(text: &str, max_tokens: u32) -> GenerateRequest {
        GenerateRequest { max_tokens, ..GenerateRequest::new(vec![ChatMessage::user(text)]) }
    }

    fn trained(tokens: u32) -> ModelContext {
        ModelContext { trained: Some(tokens), set: None }
    }

    #[test]
    fn a_context_holds_the_messages_and_the_answer_or_there_is_none() {
        let words = "word ".repeat(2_000);
        assert!(Context::default_fits(&ask("hello", 512)) && !Context::default_fits(&ask(&words, 1)));
        let context = trained(131_072).for_chat(&ask(&words, 512)).unwrap();
        assert_eq!(context, Context { num_ctx: 8_192, num_predict: 512 });
        // The model has no room for such an answer.
        let context = trained(2_048).for_chat(&ask("hello", 10_000)).unwrap();
        assert_eq!((context.num_ctx, context.num_predict), (2_048, 2_048 - 16 - 3));
        for (model, text) in [
            (trained(2_048), words.as_str()),
            (trained(131_072), &*"word ".repeat(20_000)),
            (ModelContext::default(), &*"\u{8239}".repeat(11_000)),
        ] {
            let e = model.for_chat(&ask(text, 1)).unwrap_err();
            assert_eq!((e.kind(), e.field()), (ErrorKind::ContextLength, Some("messages")));
        }
        let set = ModelContext { trained: Some(131_072), set: Some(65_536) };
        assert_eq!(set.for_chat(&ask(&"word ".repeat(20_000), 1)).unwrap().num_ctx, 65_536);
        assert_eq!(trained(512).for_texts(&[words.clone(), "x".into()]), 512);
        assert_eq!(trained(16_384).for_texts(&[words]), 8_192);
    }

    #[test]
    fn what_a_server_shows_is_read() {
        let shown = json!({
            "parameters": "stop    \"<|im_end|>\"\nnum_ctx                        65536",
            "model_info": { "general.architecture": "llama", "llama.context_length": 131_072 },
        });
        assert_eq!(ModelContext::of(&shown), ModelContext { trained: Some(131_072), set: Some(65_536) });
        assert_eq!(ModelContext::of(&shown).known(), Some(65_536));
        assert_eq!(ModelContext::of(&json!({ "model_info": null })), ModelContext::default());
        assert_eq!(trained(131_072).known(), Some(32_768));
    }
}
