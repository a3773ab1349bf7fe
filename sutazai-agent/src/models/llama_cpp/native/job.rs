//! One request on its way from its caller to the thread of the model.

use std::time::{Duration, Instant};

use llama_cpp_2::token::LlamaToken;
use llguidance::Matcher;
use sutazai_core::domain::{GenerateRequest, ModelEvent};
use sutazai_core::{Error, Result};

use super::Answer;

/// A request on its way to the model.
pub(super) struct Job {
    pub(super) prompt: Vec<LlamaToken>,
    /// The tokens of the text whose probability is asked for; empty when the model is to write.
    pub(super) measured: Vec<LlamaToken>,
    pub(super) matcher: Option<Matcher>,
    pub(super) deadline: Option<(Instant, Duration)>,
    pub(super) answer: Box<dyn Answer<Result<ModelEvent>>>,
    pub(super) request: GenerateRequest,
}

impl Job {
    /// Whether nobody waits for it any more; who waits in vain is told.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        match self.deadline {
            _ if self.answer.is_closed() => true,
            Some((at, timeout)) if now >= at => {
                self.answer.send(Err(Error::timeout(format!("no answer within {timeout:?}"))));
                true
            }
            _ => false,
        }
    }
}
