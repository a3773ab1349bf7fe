//! Settings of the queue: quotas, concurrency limits and retention.

use std::collections::BTreeMap;

use sutazai_core::Error;
use sutazai_core::domain::{ConcurrencyLimits, DocumentQuota, MessageQuota, RetentionPolicy};

use super::UserQuotas;
use super::layers::Layers;

/// Maximum value of a concurrency limit of an agent.
const MAX_AGENT_CONCURRENCY: u32 = 100_000;

impl Layers {
    /// Reads the quotas of one user.
    pub(super) fn quotas(&self, problems: &mut Vec<Error>) -> Option<UserQuotas> {
        let documents = self.number("MAX_DOCUMENTS_PER_USER", problems);
        let megabytes: Option<u64> = self.number("MAX_DOCUMENT_MB_PER_USER", problems);
        let conversations = self.number("MAX_CONVERSATIONS_PER_USER", problems);
        let messages = self.number("MAX_MESSAGES_PER_USER", problems);
        let message_megabytes: Option<u64> = self.number("MAX_MESSAGE_MB_PER_USER", problems);
        let pending_tasks = self.number("MAX_PENDING_TASKS_PER_USER", problems);
        let documents = DocumentQuota { documents: documents?, bytes: megabytes? * 1_000_000 };
        let messages = MessageQuota { messages: messages?, bytes: message_megabytes? * 1_000_000 };
        Some(UserQuotas { documents, conversations: conversations?, messages, pending_tasks: pending_tasks? })
    }

    /// Reads the concurrency limits per user and per agent.
    pub(super) fn concurrency(&self, problems: &mut Vec<Error>) -> Option<ConcurrencyLimits> {
        let per_owner = self.number_if_set("MAX_TASKS_PER_USER", problems);
        let mut per_agent = BTreeMap::new();
        let name = "AGENT_CONCURRENCY";
        for entry in self.text(name).iter().flat_map(|text| text.split(',')) {
            let limit = entry.split_once('=').and_then(|(agent, most)| {
                let most = most
                    .trim()
                    .parse::<u32>()
                    .ok()
                    .filter(|most| (1..=MAX_AGENT_CONCURRENCY).contains(most))?;
                Some((agent.trim().to_owned(), most)).filter(|(agent, _)| !agent.is_empty())
            });
            let Some((agent, most)) = limit else {
                let why = format!(
                    "expected agent=1 to agent={MAX_AGENT_CONCURRENCY}, separated by commas, got {entry:?}"
                );
                problems.push(Error::invalid(name, why));
                return None;
            };
            per_agent.insert(agent, most);
        }
        Some(ConcurrencyLimits { per_owner: per_owner?, per_agent })
    }

    /// Reads the retention policy of ended tasks.
    pub(super) fn retention_policy(&self, problems: &mut Vec<Error>) -> RetentionPolicy {
        let mut days = |name| self.text(name).and_then(|_| self.days(name, problems));
        RetentionPolicy { ended: days("TASKS_KEEP_DAYS"), failed: days("DEAD_LETTER_KEEP_DAYS") }
    }
}
