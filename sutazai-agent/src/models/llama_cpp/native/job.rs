//! Request in the queue of the thread that owns a model.

use std::time::{Duration, Instant};

use llama_cpp_2::token::LlamaToken;
use llguidance::Matcher;
use sutazai_core::domain::{GenerateRequest, ModelEvent};
use sutazai_core::{Error, Result};

use super::Answer;

/// Queued request with its tokens and its constraint.
pub(super) struct Job {
    pub(super) prompt: Vec<LlamaToken>,
    /// Tokens of the text whose probability is requested; empty when the model is to generate.
    pub(super) measured: Vec<LlamaToken>,
    pub(super) matcher: Option<Matcher>,
    pub(super) deadline: Option<(Instant, Duration)>,
    pub(super) answer: Box<dyn Answer<Result<ModelEvent>>>,
    pub(super) request: GenerateRequest,
}

impl Job {
    /// Returns whether the request has ended without an answer: its receiver is gone, or its deadline has expired, which
    /// is reported to the receiver.
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
