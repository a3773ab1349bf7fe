//! What of a conversation the model is shown: as much as fits, the latest first.

use crate::domain::{ChatMessage, Conversation, ModelInfo, StoredMessage};

/// The context of a model that does not tell.
const CONTEXT: u32 = 4_096;

/// Bytes of a text that make up a token at the least: four of English with most vocabularies, fewer of other languages.
const BYTES_PER_TOKEN: usize = 3;

/// Tokens that a chat template puts around each message.
const AROUND: usize = 8;

/// How many tokens of history the model can be shown when the answer is to have `max_tokens`: at least half of its
/// context is the history's.
pub(super) fn budget(models: &[ModelInfo], wanted: Option<&str>, max_tokens: u32) -> usize {
    let named = models.iter().find(|model| Some(model.name.as_str()) == wanted);
    let context = match named {
        Some(model) => model.context_length,
        // Any of them may answer.
        None => models.iter().filter_map(|model| model.context_length).min(),
    };
    let context = context.unwrap_or(CONTEXT);
    context.saturating_sub(max_tokens).max(context / 2) as usize
}

/// Bytes of content of which [`fit`] can use any in so many tokens.
pub(super) fn bytes(budget: usize) -> u64 {
    (budget.max(1) * BYTES_PER_TOKEN) as u64
}

/// The conversation's instructions, then its latest messages as far as they fit into so many tokens. The last message is
/// there whatever its length.
pub(super) fn fit(
    conversation: &Conversation,
    messages: &[StoredMessage],
    budget: usize,
) -> Vec<ChatMessage> {
    let system = conversation.system.as_ref().map(ChatMessage::system);
    let mut left = budget.saturating_sub(system.as_ref().map_or(0, tokens));
    let mut shown = Vec::new();
    for (back, message) in messages.iter().rev().map(|message| &message.message).enumerate() {
        let needed = tokens(message);
        if back > 0 && needed > left {
            break;
        }
        left = left.saturating_sub(needed);
        shown.push(message.clone());
    }
    shown.extend(system);
    shown.reverse();
    shown
}

fn tokens(message: &ChatMessage) -> usize {
    message.content.len().div_ceil(BYTES_PER_TOKEN) + AROUND
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;
    use crate::domain::{ConversationId, Role};

    fn conversation(system: Option<&str>) -> Conversation {
        let now = Utc.timestamp_opt(0, 0).unwrap();
        let (id, system) = (ConversationId::new(), system.map(str::to_owned));
        Conversation {
            id,
            owner: None,
            title: String::new(),
            model: None,
            system,
            created_at: now,
            updated_at: now,
        }
    }

    /// Messages of 12 bytes: 4 tokens, and 8 around them.
    fn said(count: usize) -> Vec<StoredMessage> {
        let now = Utc.timestamp_opt(0, 0).unwrap();
        let text = |i| format!("message {i:04}");
        (0..count).map(|i| StoredMessage::new(ConversationId::new(), Role::User, text(i), now)).collect()
    }

    fn shown(system: Option<&str>, count: usize, budget: usize) -> Vec<String> {
        let shown = fit(&conversation(system), &said(count), budget);
        shown.into_iter().map(|message| message.content).collect()
    }

    #[test]
    fn the_oldest_are_left_out_and_the_instructions_stay() {
        assert_eq!(shown(None, 3, 36), ["message 0000", "message 0001", "message 0002"]);
        assert_eq!(shown(None, 3, 35), ["message 0001", "message 0002"]);
        assert_eq!(shown(Some("be brief"), 3, 35), ["be brief", "message 0001", "message 0002"]);
        assert_eq!(shown(Some("be brief"), 3, 34), ["be brief", "message 0002"]);
        assert_eq!(shown(Some("be brief"), 3, 0), ["be brief", "message 0002"], "the last is always there");
    }

    #[test]
    fn a_long_message_in_between_is_where_it_ends() {
        let mut messages = said(4);
        messages[1].message.content = "long ".repeat(100);
        let shown = fit(&conversation(None), &messages, 60);
        assert_eq!(shown.len(), 2, "a gap in the middle would change what was meant");
    }

    #[test]
    fn the_budget_is_the_models() {
        let model = |name: &str, context_length| ModelInfo {
            name: name.into(),
            backend: "b".into(),
            size_bytes: None,
            parameters: None,
            context_length,
            digest: None,
            process: None,
        };
        let models = [model("small", Some(2_048)), model("large", Some(8_192)), model("mute", None)];
        assert_eq!(budget(&models, Some("large"), 512), 7_680);
        assert_eq!(budget(&models, None, 512), 1_536);
        assert_eq!(budget(&models, Some("mute"), 512), 3_584);
        assert_eq!(budget(&[], None, 512), 3_584);
        assert_eq!(budget(&models, Some("small"), 2_048), 1_024);
    }
}
