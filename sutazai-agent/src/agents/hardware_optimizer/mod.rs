//! The hardware-optimizer: looks at the machine and recommends what to do, each number checked.
//!
//! It reasons by rules and asks a model to write. In the order of one analysis:
//!
//! 1. `analysis` takes a snapshot and has the `rules` find what is past its bounds.
//! 2. For each finding, `support` gathers what a text about it may claim: its figures, names and commands, and the
//!    words of its own sentences.
//! 3. `writer` asks the model, with a `prompt` and, where the backend samples by grammars, with a `grammar` made of
//!    that support: nothing else can be written. Elsewhere the model writes `slots` where figures and commands go.
//! 4. `grounding` checks each text against the support, whoever wrote it, and `usefulness` whether it is worth
//!    reading. A text that fails is written again once, then replaced by the rules' own sentence.

mod agent;
mod analysis;
mod claims;
mod grammar;
mod grounding;
mod lexicon;
mod prompt;
mod rules;
mod slots;
mod support;
#[cfg(test)]
mod tests;
mod usefulness;
mod writer;

pub use agent::HardwareOptimizer;
pub use analysis::analyze;
