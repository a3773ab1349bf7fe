//! Slot: one of the conversations that a context holds concurrently.

use std::collections::VecDeque;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use sutazai_core::Error;
use sutazai_core::domain::{Constraint, FinishReason, ModelEvent, ModelUsage, UserId};

use super::job::Job;
use super::sampler::{Sampler, log_probability};
use super::text::TextBuffer;

/// Sequence of the context: its tokens in the key-value cache, and the answer in progress, if any.
#[derive(Default)]
pub(super) struct Slot {
    /// Tokens in the cache, from the beginning of the conversation.
    pub(super) cached: Vec<LlamaToken>,
    /// Owner of the request that the tokens came from.
    pub(super) owner: Option<UserId>,
    /// Time at which the last answer ended; the slot that has been idle longest is overwritten first.
    pub(super) idle_since: Option<Instant>,
    pub(super) writing: Option<Writing>,
}

/// Answer in progress in a slot.
pub(super) struct Writing {
    pub(super) job: Job,
    sampler: Sampler,
    text: TextBuffer,
    /// Number of generated or measured tokens.
    written: u32,
    /// Maximum number of generated tokens.
    limit: u32,
    /// Tokens that the model has yet to read: the rest of the prompt, then the latest token.
    pub(super) unread: VecDeque<LlamaToken>,
    /// Number of last unread tokens whose next token is of interest: one, or as many as are measured.
    pub(super) predicted: usize,
    /// Positions of these tokens in the batch.
    pub(super) read: Vec<i32>,
    /// Sum of the logarithms of the probabilities of the tokens measured so far.
    log_measured: f64,
}

impl Slot {
    /// Returns the length of the prefix that the prompt shares with the cache; 0 for the cache of another owner, so
    /// that timing does not reveal one user's messages to another. The last token of the prompt never counts, because
    /// the model must read at least one token to continue.
    pub(super) fn shared(&self, owner: Option<UserId>, prompt: &[LlamaToken]) -> usize {
        if self.owner != owner {
            return 0;
        }
        let same = self.cached.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        same.min(prompt.len().saturating_sub(1))
    }

    /// Returns the number of cache cells that the slot may come to need.
    pub(super) fn cells(&self) -> usize {
        let more = |writing: &Writing| writing.unread.len() + writing.to_be_written();
        self.cached.len() + self.writing.as_ref().map_or(0, more)
    }
}

impl Writing {
    /// Creates an answer to a prompt whose first `cached` tokens are in the cache.
    pub(super) fn new(job: Job, sampler: Sampler, cached: usize, limit: u32) -> Self {
        let text = TextBuffer::new(&job.request.stop);
        // The last token of a measured text is not read, since its successor is not requested.
        let measured = &job.measured[..job.measured.len().saturating_sub(1)];
        let unread = job.prompt[cached..].iter().chain(measured).copied().collect();
        let predicted = job.measured.len().max(1);
        Self { job, sampler, text, written: 0, limit, unread, predicted, read: Vec::new(), log_measured: 0.0 }
    }

    /// Returns how many tokens may still be generated.
    fn to_be_written(&self) -> usize {
        match self.job.measured.len() {
            0 => (self.limit - self.written) as usize,
            // Measured tokens are among the unread ones.
            _ => 0,
        }
    }

    /// Handles the token after the batch's token at `index`; true when the answer has ended.
    pub(super) fn go_on(
        &mut self,
        context: &LlamaContext<'_>,
        model: &LlamaModel,
        name: &str,
        index: i32,
    ) -> bool {
        if let Some(token) = self.job.measured.get(self.written as usize) {
            self.log_measured += log_probability(*token, context.get_logits_ith(index));
            self.written += 1;
            self.predicted -= 1;
            let ended = self.written as usize == self.job.measured.len();
            if ended {
                self.end_measured(name);
            }
            return ended;
        }
        let token = match self.sampler.next(context, index) {
            Ok(token) => token,
            Err(e) => {
                self.fail(e);
                return true;
            }
        };
        let vocab = model.vocab();
        if vocab.is_eog(token) {
            self.end(name, FinishReason::Stop);
            return true;
        }
        self.written += 1;
        let (text, stopped) = self.text.push(&vocab.token_to_piece(token, false, None));
        self.send(text);
        if stopped || self.sampler.is_complete() {
            self.end(name, FinishReason::Stop);
            return true;
        }
        if self.written >= self.limit {
            self.end(name, FinishReason::Length);
            return true;
        }
        self.unread.push_back(token);
        false
    }

    pub(super) fn fail(&mut self, e: Error) {
        self.job.answer.send(Err(e));
    }

    fn send(&mut self, text: String) {
        if !text.is_empty() {
            self.job.answer.send(Ok(ModelEvent::Text(text)));
        }
    }

    /// Ends with the measured text and the geometric mean of the probabilities of its tokens.
    fn end_measured(&mut self, name: &str) {
        if let Some(Constraint::Text(text)) = &self.job.request.constraint {
            let text = text.clone();
            self.send(text);
        }
        let fluency = (self.log_measured / f64::from(self.written)).exp() as f32;
        self.done(name, FinishReason::Stop, Some(fluency));
    }

    fn end(&mut self, name: &str, finish_reason: FinishReason) {
        let rest = self.text.finish();
        self.send(rest);
        self.done(name, finish_reason, self.sampler.fluency());
    }

    fn done(&mut self, name: &str, finish_reason: FinishReason, fluency: Option<f32>) {
        let usage = ModelUsage {
            backend: super::super::NAME.to_owned(),
            model: name.to_owned(),
            prompt_tokens: self.job.prompt.len() as u32,
            completion_tokens: self.written,
            finish_reason,
            refusal: None,
            degraded: None,
            fluency,
        };
        self.job.answer.send(Ok(ModelEvent::Done(usage)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_of_another_owner_is_not_reused() {
        let [ada, eve] = [Some(UserId::new()), Some(UserId::new())];
        let prompt = [1, 2, 3, 4].map(LlamaToken);
        let slot = Slot { cached: prompt.to_vec(), owner: ada, ..Slot::default() };
        assert_eq!(slot.shared(ada, &prompt), 3, "the last token is read again");
        assert_eq!(slot.shared(ada, &prompt[..2]), 1);
        assert_eq!((slot.shared(eve, &prompt), slot.shared(None, &prompt)), (0, 0));
    }
}
