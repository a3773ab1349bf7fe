//! Why a text of a model was refused.

use std::fmt;

use sutazai_core::domain::RejectionReason;

/// Longest excerpt of a refused text, in characters.
const EXCERPT: usize = 80;

/// A refusal: the reason, and the words that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: RejectionReason,
    /// At most 80 characters.
    pub(super) excerpt: String,
}

impl Rejection {
    /// For this reason, with the beginning of these words.
    pub(super) fn new(reason: RejectionReason, words: &str) -> Self {
        Self { reason, excerpt: words.chars().take(EXCERPT).collect() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.reason.as_str(), self.excerpt)
    }
}
