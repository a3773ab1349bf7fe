//! When a text that a model worded counts as fluent.
//!
//! A grammar can only keep a text from saying what is not so; it cannot make it good English. A backend that samples by
//! a grammar reports for each text how much of its probability the unconstrained model gave to what the grammar allowed
//! ([`ModelUsage::fluency`](sutazai_core::domain::ModelUsage::fluency)). Where the model wanted to say something else and
//! was pressed into words, that share is small.

/// Least fluency of a text that is published under the permission `word`.
///
/// It lies above every labelled sample that is not fluent, authored advice with its words in random order, with SmolLM2-135M
/// at most 0.114, and below nearly all texts that the model words itself. `cargo bench -p sutazai-agent --bench grounding --
/// fluency` prints the distributions, and `docs/models.md` publishes them.
pub const MIN_FLUENCY: f32 = 0.2;
