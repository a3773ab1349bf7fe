//! Selection of the history that the model is shown: the latest messages that fit its context.

use crate::domain::{ChatMessage, Conversation, ModelInfo, Role, StoredMessage};

/// Assumed context length in tokens of a model that does not report one.
const CONTEXT: u32 = 4_096;

/// Conservative number of bytes per token: English has about four with most vocabularies, other languages fewer.
const BYTES_PER_TOKEN: usize = 3;

/// Number of tokens that a chat template adds around each message.
const AROUND: usize = 8;

/// Number of tokens available for the history if the answer may have `max_tokens`: at least half of the context.
pub(super) fn budget(models: &[ModelInfo], wanted: Option<&str>, max_tokens: u32) -> usize {
    let named = wanted.and_then(|wanted| models.iter().find(|model| model.is_called(wanted)));
    let context = match named {
        Some(model) => model.context_length,
        // Any of the models may answer, so the smallest context counts.
        None => models.iter().filter_map(|model| model.context_length).min(),
    };
    let context = context.unwrap_or(CONTEXT);
    context.saturating_sub(max_tokens).max(context / 2) as usize
}

/// Maximum size of the content that [`fit`] can use within this budget, in bytes.
pub(super) fn bytes(budget: usize) -> u64 {
    (budget.max(1) * BYTES_PER_TOKEN) as u64
}

/// Selects the system prompt and then the latest messages within the budget, as alternating turns that begin with the
/// user, which the chat templates of many models require. The last message is included whatever its length.
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
    shown.reverse();
    system.into_iter().chain(turns(shown)).collect()
}

/// Merges messages into alternating turns. Consecutive messages of the user, as a failed answer or concurrent requests
/// leave them, become one. Of consecutive answers, as asking again leaves them, only the last one counts. Empty answers
/// and answers without a question are left out.
fn turns(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut turns: Vec<ChatMessage> = Vec::new();
    for message in messages.into_iter().filter(|message| !message.content.is_empty()) {
        match turns.last_mut() {
            None if message.role != Role::User => {}
            Some(last) if last.role == message.role && message.role == Role::Assistant => *last = message,
            Some(last) if last.role == message.role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => turns.push(message),
        }
    }
    turns
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

    fn kept(role: Role, text: impl Into<String>) -> StoredMessage {
        StoredMessage::new(ConversationId::new(), role, text.into(), Utc.timestamp_opt(0, 0).unwrap())
    }

    /// Creates messages of 12 bytes: 4 tokens, plus 8 around them. The last one is the user's.
    fn said(count: usize) -> Vec<StoredMessage> {
        let role = |i: usize| if (count - i) % 2 == 1 { Role::User } else { Role::Assistant };
        (0..count).map(|i| kept(role(i), format!("message {i:04}"))).collect()
    }

    fn shown(system: Option<&str>, count: usize, budget: usize) -> Vec<String> {
        let shown = fit(&conversation(system), &said(count), budget);
        shown.into_iter().map(|message| message.content).collect()
    }

    #[test]
    fn oldest_messages_are_left_out_and_instructions_stay() {
        assert_eq!(shown(None, 3, 36), ["message 0000", "message 0001", "message 0002"]);
        assert_eq!(shown(None, 4, 36), ["message 0001", "message 0002", "message 0003"]);
        assert_eq!(shown(None, 3, 35), ["message 0002"], "an answer without its question is left out");
        assert_eq!(
            shown(Some("be brief"), 3, 47),
            ["be brief", "message 0000", "message 0001", "message 0002"]
        );
        assert_eq!(shown(Some("be brief"), 3, 46), ["be brief", "message 0002"]);
        assert_eq!(shown(Some("be brief"), 3, 0), ["be brief", "message 0002"], "the last is always there");
    }

    #[test]
    fn history_ends_at_a_message_that_is_too_long() {
        let mut messages = said(4);
        messages[1].message.content = "long ".repeat(100);
        let shown = fit(&conversation(None), &messages, 60);
        assert_eq!(shown.len(), 1, "a gap in the middle would change what was meant");
    }

    #[test]
    fn turns_alternate_and_begin_with_the_user() {
        use Role::{Assistant, User};
        for (messages, expected) in [
            (vec![(User, "a"), (User, "b")], vec![(User, "a\n\nb")]),
            (vec![(Assistant, "x"), (User, "a")], vec![(User, "a")]),
            (
                vec![(User, "a"), (User, "b"), (Assistant, "x"), (Assistant, "y"), (User, "c")],
                vec![(User, "a\n\nb"), (Assistant, "y"), (User, "c")],
            ),
            (vec![(User, "a"), (Assistant, ""), (User, "b")], vec![(User, "a\n\nb")]),
            (vec![(Assistant, "x"), (Assistant, "y"), (User, "a")], vec![(User, "a")]),
        ] {
            let messages: Vec<_> = messages.into_iter().map(|(role, text)| kept(role, text)).collect();
            let shown = fit(&conversation(Some("be brief")), &messages, 10_000);
            assert_eq!(shown[0], ChatMessage::system("be brief"));
            let shown: Vec<_> = shown[1..].iter().map(|turn| (turn.role, turn.content.as_str())).collect();
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn model_has_the_whole_budget() {
        let model = |name: &str, context_length| ModelInfo { context_length, ..ModelInfo::new(name, "b") };
        let models = [model("small", Some(2_048)), model("large", Some(8_192)), model("mute", None)];
        assert_eq!(budget(&models, Some("large"), 512), 7_680);
        assert_eq!(budget(&models, None, 512), 1_536);
        assert_eq!(budget(&models, Some("mute"), 512), 3_584);
        assert_eq!(budget(&[], None, 512), 3_584);
        assert_eq!(budget(&models, Some("small"), 2_048), 1_024);
    }
}
