//! Rejection of a model's text, with its reason.

use sutazai_core::domain::RejectionReason;

/// Maximum length of the excerpt of a rejected text, in characters.
const MAX_EXCERPT_CHARS: usize = 80;

/// Rejection with its reason and the words at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {excerpt:?}", .reason.as_str())]
pub(super) struct Rejection {
    pub(super) reason: RejectionReason,
    /// First words at fault, at most 80 characters.
    pub(super) excerpt: String,
}

impl Rejection {
    /// Creates a rejection with the beginning of `words` as excerpt.
    pub(super) fn new(reason: RejectionReason, words: &str) -> Self {
        Self { reason, excerpt: words.chars().take(MAX_EXCERPT_CHARS).collect() }
    }
}
