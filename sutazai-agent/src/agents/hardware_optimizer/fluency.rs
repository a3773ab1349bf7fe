//! When a text that a model worded counts as fluent.
//!
//! A grammar can only keep a text from saying what is not so; it cannot make it good English. A backend that samples by
//! a grammar reports for each text how much of its probability the unconstrained model gave to what the grammar allowed
//! ([`ModelUsage::fluency`](sutazai_core::domain::ModelUsage::fluency)). Where the model wanted to say something else and
//! was pressed into words, that share is small.

/// Least fluency of a text that is published under the permission `word`.
///
/// It is set between the fluencies of labelled samples: authored advice on the one side, the same words in random order
/// on the other. `cargo bench -p sutazai-agent --bench grounding -- fluency` prints both distributions, and
/// `docs/models.md` publishes the figure. Provisional until that has been run with the models that the page names.
pub const MIN_FLUENCY: f32 = 0.2;
