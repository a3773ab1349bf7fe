//! Hardware-optimizer: measures the machine and recommends what to do, in sentences that the evidence supports.
//!
//! Rules find the problems, and a model only writes about them. The steps of one analysis:
//!
//! 1. `analysis` takes a snapshot and has the `rules` find values past their bounds, each finding with authored
//!    sentences.
//! 2. `composition` builds the language of the texts about a finding: `advice` constructs it from `phrases`,
//!    `questions` and a `vocabulary` gathered from the `authored` sentences, `language` decides whether a text belongs
//!    to it, and `lark` prints it for backends that sample by grammars.
//! 3. `writer` has the `author` request from the model, with a `prompt`, what it is permitted to do: choose or word.
//!    Backends without grammars write `placeholders` or choose from enumerations.
//! 4. Every text is checked against the language, whoever wrote it, and for `fluency` where the backend measures it. A
//!    rejected text is written again once, then the authored text is used. `assertions` lists what was checked, and
//!    `evidence` the value that each figure and name rests on.
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
mod evidence;
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
pub use analysis::{analyze, analyze_snapshot, measure};
pub use fluency::MIN_FLUENCY;
