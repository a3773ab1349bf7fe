//! Estimate of the context size that a request to Ollama needs, in tokens.
//!
//! Ollama cannot count tokens on request, so the estimate is an upper bound: one token for two ASCII letters or for one
//! byte of anything else. English averages four or five letters a token.

use serde_json::Value;
use sutazai_core::domain::GenerateRequest;
use sutazai_core::{Error, Result};

/// Smallest context that Ollama gives a model by default. A larger context than the loaded one makes Ollama reload the
/// model, so small requests ask for none.
const DEFAULT_CONTEXT: u32 = 2_048;

/// Smallest context that a request asks for. Larger ones are powers of two, so that the model is rarely reloaded.
const MIN_CONTEXT: u32 = 4_096;

/// Largest context that a request asks for, unless the model's own settings have a larger one: memory grows with it.
const MAX_CONTEXT: u32 = 32_768;

/// Generous estimate of the tokens that a chat template adds to each message.
const TOKENS_AROUND_MESSAGE: u32 = 16;

/// Context settings of one request, in tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Context {
    /// Size of the context.
    pub(super) num_ctx: u32,
    /// Longest answer. Beyond the context Ollama would drop the beginning of the conversation and continue.
    pub(super) num_predict: u32,
}

impl Context {
    /// Returns whether messages and answer fit into every default context of Ollama.
    pub(super) fn default_fits(request: &GenerateRequest) -> bool {
        of_messages(request).saturating_add(request.max_tokens) <= DEFAULT_CONTEXT
    }

    /// Returns whether each of the texts fits into every default context of Ollama.
    pub(super) fn default_holds(texts: &[String]) -> bool {
        of_longest(texts) <= DEFAULT_CONTEXT
    }
}

/// Context sizes of a model, as far as the server reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ModelContext {
    /// Context size that the model was trained on.
    trained: Option<u32>,
    /// Context size in the model's own settings.
    set: Option<u32>,
}

impl ModelContext {
    /// Reads the sizes from an answer of `/api/show`.
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

    /// Returns the largest context that a request may ask for; `None` when the server does not report the model's.
    pub(super) fn known(self) -> Option<u32> {
        self.trained.map(|trained| trained.min(MAX_CONTEXT.max(self.set.unwrap_or_default())))
    }

    fn largest(self) -> u32 {
        self.known().unwrap_or(MAX_CONTEXT)
    }

    /// Returns a context that holds the messages and as much of the answer as fits.
    ///
    /// # Errors
    /// `ContextLength` naming `messages` when the messages alone exceed the largest context.
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

    /// Returns a context that holds each of the texts, or the largest one. Ollama rejects a text that still does not
    /// fit, because the request disables truncation.
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

/// Returns an upper bound of the token count of a text.
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
    fn context_holds_messages_and_answer_or_is_an_error() {
        let words = "word ".repeat(2_000);
        assert!(Context::default_fits(&ask("hello", 512)) && !Context::default_fits(&ask(&words, 1)));
        let context = trained(131_072).for_chat(&ask(&words, 512)).unwrap();
        assert_eq!(context, Context { num_ctx: 8_192, num_predict: 512 });
        // The model's context cannot hold such an answer.
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
    fn sizes_are_read_from_show() {
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
