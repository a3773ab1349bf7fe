//! One of the conversations that a context holds side by side.

use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use sutazai_core::Error;
use sutazai_core::domain::{FinishReason, ModelEvent, ModelUsage};

use super::sampler::Sampler;
use super::text::TextBuffer;
use super::worker::Job;

/// A sequence of the context: what of it lies in the key-value cache, and the answer that is being written, if any.
#[derive(Default)]
pub(super) struct Slot {
    /// The tokens in the cache, from the beginning.
    pub(super) cached: Vec<LlamaToken>,
    /// When its last answer ended; the longest idle is overwritten first.
    pub(super) idle_since: Option<Instant>,
    pub(super) writing: Option<Writing>,
}

/// An answer that is being written.
pub(super) struct Writing {
    pub(super) job: Job,
    sampler: Sampler,
    text: TextBuffer,
    /// Tokens written.
    written: u32,
    /// At most so many.
    limit: u32,
    /// Tokens that the model has yet to read: the rest of the prompt, then the latest token.
    pub(super) unread: Vec<LlamaToken>,
    /// Where in the batch the token stands after which the next is to be chosen.
    pub(super) index: Option<i32>,
}

impl Slot {
    /// How many tokens at the beginning are the same as in the cache. The last of the prompt does not count: the
    /// model must read at least one to go on.
    pub(super) fn shared(&self, prompt: &[LlamaToken]) -> usize {
        let same = self.cached.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        same.min(prompt.len().saturating_sub(1))
    }

    /// Cells of the cache that it may come to need.
    pub(super) fn cells(&self) -> usize {
        let more = |writing: &Writing| writing.unread.len() + (writing.limit - writing.written) as usize;
        self.cached.len() + self.writing.as_ref().map_or(0, more)
    }
}

impl Writing {
    /// Of a prompt of which the cache has so many tokens already.
    pub(super) fn new(job: Job, sampler: Sampler, cached: usize, limit: u32) -> Self {
        let text = TextBuffer::new(&job.request.stop);
        let unread = job.prompt[cached..].to_vec();
        Self { job, sampler, text, written: 0, limit, unread, index: None }
    }

    /// Takes the next token after the batch was read. True when the answer has ended.
    pub(super) fn go_on(
        &mut self,
        context: &LlamaContext<'_>,
        model: &LlamaModel,
        name: &str,
        index: i32,
    ) -> bool {
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
        self.unread.push(token);
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

    fn end(&mut self, name: &str, finish_reason: FinishReason) {
        let rest = self.text.finish();
        self.send(rest);
        let usage = ModelUsage {
            backend: super::super::NAME.to_owned(),
            model: name.to_owned(),
            prompt_tokens: self.job.prompt.len() as u32,
            completion_tokens: self.written,
            finish_reason,
            degraded: None,
            fluency: self.sampler.fluency(),
        };
        self.job.answer.send(Ok(ModelEvent::Done(usage)));
    }
}
