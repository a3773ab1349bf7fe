//! The hardware-optimizer: looks at the machine and recommends what to do, in sentences that the evidence supports.
//!
//! It reasons by rules and asks a model to write. In the order of one analysis:
//!
//! 1. `analysis` takes a snapshot and has the `rules` find what is past its bounds, each finding with authored sentences.
//! 2. `composition` makes of them the language of the texts about the finding: `advice` builds it of `phrases`, `questions` and a
//!    `vocabulary` gathered from what is `authored`, `language` decides whether a text belongs to it, and `lark` prints
//!    it for backends that sample by grammars.
//! 3. `writer` has the `author` ask the model, with a `prompt`, for what it may do: choose or word. Backends without
//!    grammars write `placeholders` or choose from enumerations.
//! 4. Every text is checked against the language, whoever wrote it, and for `fluency` where the backend measures it. A
//!    text that fails is written again once, then the rules' own is used. `assertions` says what was checked.
//!
//! `check` measures what a model may do.

mod advice;
mod agent;
mod analysis;
mod assertions;
mod author;
mod authored;
pub mod check;
mod composition;
mod fluency;
mod language;
mod lark;
mod lexicon;
mod phrases;
mod placeholders;
mod prompt;
mod questions;
mod rejection;
mod rules;
mod summary;
#[cfg(test)]
mod tests;
mod vocabulary;
mod writer;

pub use agent::HardwareOptimizer;
pub use analysis::analyze;
pub use fluency::MIN_FLUENCY;
