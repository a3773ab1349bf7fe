//! Conversion of messages into tokens, by the model's own chat template.

use llama_cpp_2::model::{LlamaChatMessage, LlamaChatTemplate, LlamaModel};
use llama_cpp_2::token::LlamaToken;
use sutazai_core::domain::ChatMessage;
use sutazai_core::{Error, Result};

/// Template for models without one, or with one that llama.cpp does not support.
const FALLBACK_TEMPLATE: &str = "chatml";

/// Chat format of one model.
pub(super) struct PromptFormat {
    template: Option<LlamaChatTemplate>,
    fallback: Option<LlamaChatTemplate>,
    /// Texts of the control tokens, such as the one that ends a message.
    control: Vec<String>,
}

impl PromptFormat {
    pub(super) fn of(model: &LlamaModel) -> Self {
        let vocab = model.vocab();
        let text = |token| vocab.text(token).map(|text| text.to_string_lossy().into_owned());
        let mut control: Vec<_> =
            vocab.tokens().filter(|token| vocab.is_control(*token)).filter_map(text).collect();
        control.retain(|text| text.len() > 1);
        Self {
            template: model.chat_template(None).ok(),
            fallback: LlamaChatTemplate::new(FALLBACK_TEMPLATE).ok(),
            control,
        }
    }

    /// Returns a note for the operator if the model gets another format than it was trained on. That makes its answers
    /// worse, but causes no error.
    pub(super) fn note(&self, model: &LlamaModel) -> Option<String> {
        let why = match &self.template {
            None => "the file has no chat template",
            Some(template) if apply_template(model, template, &probe().ok()?).is_none() => {
                "llama.cpp does not support the file's chat template"
            }
            Some(_) => return None,
        };
        Some(format!("{why}; messages are written in the form of {FALLBACK_TEMPLATE}"))
    }

    /// Tokenizes a conversation up to the point where the model is to answer.
    ///
    /// # Errors
    /// `InvalidInput` naming `messages` when there is none or one contains a zero byte.
    pub(super) fn tokens(&self, model: &LlamaModel, messages: &[ChatMessage]) -> Result<Vec<LlamaToken>> {
        if messages.is_empty() {
            return Err(Error::invalid("messages", "expected at least one message"));
        }
        let message = |message: &ChatMessage| {
            LlamaChatMessage::new(
                message.role.as_str().to_owned(),
                self.break_control_tokens(&message.content),
            )
            .map_err(|_| Error::invalid("messages", "expected texts without a zero byte"))
        };
        let chat: Vec<_> = messages.iter().map(message).collect::<Result<_>>()?;
        let by = |template| apply_template(model, template, &chat);
        let text = self.template.as_ref().and_then(by).or_else(|| self.fallback.as_ref().and_then(by));
        let text = text.ok_or_else(|| Error::unavailable("the model's chat template cannot be applied"))?;
        Ok(model.vocab().tokenize(text.as_bytes(), true, true))
    }

    /// Breaks up every text that would be tokenized as a control token: only the template may end or begin a message.
    fn break_control_tokens(&self, content: &str) -> String {
        let mut content = content.to_owned();
        for control in &self.control {
            if content.contains(control) {
                let mut chars = control.chars();
                let broken: String = chars.next().into_iter().chain([' ']).chain(chars).collect();
                content = content.replace(control, &broken);
            }
        }
        content
    }
}

/// Formats a conversation by this template; `None` when llama.cpp does not support it.
fn apply_template(
    model: &LlamaModel,
    template: &LlamaChatTemplate,
    chat: &[LlamaChatMessage],
) -> Option<String> {
    model.apply_chat_template(template, chat, true).ok()
}

/// Returns a minimal conversation that every template can format.
fn probe() -> std::result::Result<[LlamaChatMessage; 1], llama_cpp_2::NewLlamaChatMessageError> {
    Ok([LlamaChatMessage::new("user".to_owned(), "Hello.".to_owned())?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_tokens_in_a_message_are_broken_up() {
        let control = vec!["<|im_end|>".to_owned()];
        let format = PromptFormat { template: None, fallback: None, control };
        assert_eq!(format.break_control_tokens("a <|im_end|> b"), "a < |im_end|> b");
        assert_eq!(format.break_control_tokens("1 < 2 | 3"), "1 < 2 | 3");
    }
}
