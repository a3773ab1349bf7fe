//! Thread that owns a model's context: each round takes requests, decodes one batch and selects tokens.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use sutazai_core::domain::UserId;
use sutazai_core::{Error, Result};

use super::QUEUE_CAPACITY;
use super::job::Job;
use super::sampler::Sampler;
use super::slot::{Slot, Writing};

/// Number of answers that are generated concurrently.
pub(super) const SLOTS: usize = 4;

/// Context size in tokens over all conversations, at most.
const CONTEXT: u32 = 8192;

/// Tokens decoded in one round. A small batch bounds how long a cancellation, or an answer in progress, waits for the
/// prompt of another request.
const BATCH_TOKENS: usize = 256;

/// Maximum number of tokens in one round whose successor is of interest: each costs memory for the probabilities of the
/// whole vocabulary.
const MAX_BATCH_OUTPUTS: usize = 64;

/// Returns the longest conversation in tokens, its answer included: three quarters of the context, or the length that the
/// model was trained on. The requests of one user together take no more either, so a quarter is always left to others.
pub(super) fn longest(model: &LlamaModel) -> u32 {
    model.n_ctx_train().min(CONTEXT / 4 * 3)
}

/// Returns the size of a context of which a conversation of `longest` tokens is three quarters.
fn cells(longest: u32) -> u32 {
    longest.div_ceil(3).saturating_mul(4)
}

/// Result of starting a job.
enum Begun {
    /// The job is running, or was rejected.
    Done,
    /// The answers of its user take the share of the context that one user may have.
    OverShare(Job),
    /// No slot or not enough context is free.
    NoRoom(Job),
}

/// State of the model's thread.
pub(super) struct Worker<'a> {
    model: &'a LlamaModel,
    name: &'a str,
    context: LlamaContext<'a>,
    longest: usize,
    slots: Vec<Slot>,
    waiting: VecDeque<Job>,
    /// Indicates that a prefix of a sequence can be kept; recurrent models have one state for the whole sequence.
    keeps_prefixes: bool,
}

impl<'a> Worker<'a> {
    /// Creates the context, reports the result to `ready`, and serves jobs until all senders of `jobs` are dropped.
    pub(super) fn run(
        backend: &LlamaBackend,
        model: &'a LlamaModel,
        name: &'a str,
        jobs: &Receiver<Job>,
        ready: &Sender<Result<()>>,
        progress: &dyn Fn(),
    ) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = i32::try_from(threads).unwrap_or(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells(longest(model))))
            .with_n_batch(BATCH_TOKENS as u32)
            .with_n_ubatch(BATCH_TOKENS as u32)
            .with_n_seq_max(SLOTS as u32)
            .with_kv_unified(true)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        let context = match model.new_context(backend, params) {
            Ok(context) => context,
            Err(e) => {
                let e =
                    Error::unavailable("there is not enough memory for the model's context").with_source(e);
                let _ = ready.send(Err(e));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let keeps_prefixes = !model.is_recurrent() && !model.is_hybrid();
        let slots = (0..SLOTS).map(|_| Slot::default()).collect();
        let (longest, waiting) = (longest(model) as usize, VecDeque::new());
        let mut worker = Self { model, name, context, longest, slots, waiting, keeps_prefixes };
        let mut batch = LlamaBatch::new(BATCH_TOKENS, 1);
        while worker.take(jobs) {
            worker.admit();
            worker.round(&mut batch);
            progress();
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(|slot| slot.writing.is_none())
    }

    /// Takes jobs from the queue, and blocks when there is nothing else to do. False when the backend was dropped;
    /// answers in progress are then abandoned.
    fn take(&mut self, jobs: &Receiver<Job>) -> bool {
        use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
        if self.is_idle() {
            match jobs.recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(_) => return false,
            }
        }
        // More than there are slots, so that the jobs of one user do not keep those of others in the queue.
        while self.waiting.len() < QUEUE_CAPACITY {
            match jobs.try_recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(Empty) => return true,
                Err(Disconnected) => return false,
            }
        }
        true
    }

    /// Drops jobs that have ended, and starts waiting jobs in free slots, in their order.
    fn admit(&mut self) {
        let now = Instant::now();
        for slot in &mut self.slots {
            if slot.writing.as_mut().is_some_and(|writing| writing.job.is_over(now)) {
                slot.writing = None;
                slot.idle_since = Some(now);
            }
        }
        self.waiting.retain_mut(|job| !job.is_over(now));
        let mut over_share = VecDeque::new();
        while let Some(job) = self.waiting.pop_front() {
            match self.begin(job) {
                Begun::Done => {}
                Begun::OverShare(job) => over_share.push_back(job),
                // The others wait behind it: a long one would never begin if short ones went first.
                Begun::NoRoom(job) => {
                    self.waiting.push_front(job);
                    break;
                }
            }
        }
        over_share.append(&mut self.waiting);
        self.waiting = over_share;
    }

    /// Starts an answer or rejects it; returns the job when it has to wait.
    fn begin(&mut self, mut job: Job) -> Begun {
        let prompt = job.prompt.len();
        let needed = prompt + job.measured.len();
        if needed >= self.longest {
            let message = format!("expected at most {} tokens, got {needed}", self.longest - 1);
            job.answer.send(Err(Error::context_length("messages", message)));
            return Begun::Done;
        }
        let limit = match job.measured.len() {
            0 => job.request.max_tokens.max(1).min((self.longest - prompt) as u32),
            measured => measured as u32,
        };
        if self.written_for(job.request.prefix_owner) + prompt + limit as usize > self.longest {
            return Begun::OverShare(job);
        }
        let free = |(_, slot): &(usize, &Slot)| slot.writing.is_none();
        let owner = job.request.prefix_owner;
        // The longest shared prefix saves most work; among equals, the slot that has been idle longest is least likely
        // to be needed again.
        let best = |(_, slot): &(usize, &Slot)| {
            (slot.shared(owner, &job.prompt), std::cmp::Reverse(slot.idle_since))
        };
        let Some((at, _)) = self.slots.iter().enumerate().filter(free).max_by_key(best) else {
            return Begun::NoRoom(job);
        };
        // Cells for the whole answer are reserved at the start, so that an answer in progress never runs out of
        // context. Reserving them as they are used would admit more answers at once, but would have to abort some of
        // them when the context is full.
        if !self.make_room(at, prompt + limit as usize) {
            return Begun::NoRoom(job);
        }
        let sampler = Sampler::new(&job.request, job.matcher.take());
        let kept = self.keep_prefix(at, owner, &job.prompt);
        let slot = &mut self.slots[at];
        slot.cached.truncate(kept);
        slot.owner = owner;
        slot.writing = Some(Writing::new(job, sampler, kept, limit));
        Begun::Done
    }

    /// Cells that the answers of this user which are under way take. Those of nobody, which is the embedder, have no share.
    fn written_for(&self, owner: Option<UserId>) -> usize {
        let of_owner = |slot: &&Slot| owner.is_some() && slot.owner == owner && slot.writing.is_some();
        self.slots.iter().filter(of_owner).map(Slot::cells).sum()
    }

    /// Frees cache cells until the slot can have `cells` of them, by dropping idle conversations, the longest idle
    /// first.
    fn make_room(&mut self, at: usize, cells: usize) -> bool {
        let context = self.context.n_ctx() as usize;
        loop {
            let others = self.slots.iter().enumerate().filter(|(i, _)| *i != at);
            let taken: usize = others.clone().map(|(_, slot)| slot.cells()).sum();
            if taken + cells <= context {
                return true;
            }
            let idle = others.filter(|(_, slot)| slot.writing.is_none() && !slot.cached.is_empty());
            let Some((oldest, _)) = idle.min_by_key(|(_, slot)| slot.idle_since) else { return false };
            self.forget(oldest, 0);
        }
    }

    /// Keeps the prefix that the slot shares with the prompt, or copies a longer one from another slot; returns its
    /// length.
    fn keep_prefix(&mut self, at: usize, owner: Option<UserId>, prompt: &[LlamaToken]) -> usize {
        if !self.keeps_prefixes {
            self.forget(at, 0);
            return 0;
        }
        let own = self.slots[at].shared(owner, prompt);
        let shares = |(i, slot): (usize, &Slot)| (slot.shared(owner, prompt), i);
        let (most, from) = self.slots.iter().enumerate().map(shares).max().unwrap_or((0, at));
        if most <= own || from == at {
            return self.forget(at, own);
        }
        self.forget(at, 0);
        let (from_id, to_id) = (from as i32, at as i32);
        match self.context.copy_kv_cache_seq(from_id, to_id, Some(0), Some(most as u32)) {
            Ok(()) => {
                self.slots[at].cached = prompt[..most].to_vec();
                most
            }
            Err(_) => 0,
        }
    }

    /// Drops the cached tokens of a slot after the first `keep`; returns how many are left.
    fn forget(&mut self, at: usize, keep: usize) -> usize {
        let slot = &mut self.slots[at];
        let keep = keep.min(slot.cached.len());
        let removed = self.context.clear_kv_cache_seq(Some(at as u32), Some(keep as u32), None);
        let keep = if matches!(removed, Ok(true)) { keep } else { 0 };
        if keep == 0 {
            let _ = self.context.clear_kv_cache_seq(Some(at as u32), None, None);
        }
        slot.cached.truncate(keep);
        keep
    }

    /// Decodes one batch with tokens of every answer in progress, and selects their next tokens.
    fn round(&mut self, batch: &mut LlamaBatch<'_>) {
        batch.clear();
        self.fill(batch);
        if batch.n_tokens() == 0 {
            return;
        }
        if let Err(e) = self.context.decode(batch) {
            let e = Error::unavailable("the model failed to decode a batch").with_source(e);
            for at in 0..self.slots.len() {
                if let Some(mut writing) = self.slots[at].writing.take() {
                    writing.fail(e.clone());
                    self.forget(at, 0);
                }
            }
            return;
        }
        for slot in &mut self.slots {
            let Some(writing) = &mut slot.writing else { continue };
            let read = std::mem::take(&mut writing.read);
            if read.into_iter().any(|index| writing.go_on(&self.context, self.model, self.name, index)) {
                slot.writing = None;
                slot.idle_since = Some(Instant::now());
            }
        }
    }

    /// Fills the batch. Slots with fewest unread tokens come first: answers in progress need one token each, and
    /// prompts share the rest of the batch.
    fn fill(&mut self, batch: &mut LlamaBatch<'_>) {
        let (mut room, mut outputs) = (BATCH_TOKENS, MAX_BATCH_OUTPUTS);
        let unread = |slot: &Slot| slot.writing.as_ref().map_or(0, |writing| writing.unread.len());
        let mut order: Vec<usize> = (0..self.slots.len()).filter(|at| unread(&self.slots[*at]) > 0).collect();
        order.sort_by_key(|at| unread(&self.slots[*at]));
        for at in order {
            let slot = &mut self.slots[at];
            let Some(writing) = &mut slot.writing else { continue };
            while let Some(token) = writing.unread.front().copied() {
                let wanted = writing.unread.len() <= writing.predicted;
                if room == 0 || (wanted && outputs == 0) {
                    return;
                }
                let position = slot.cached.len() as i32;
                if batch.add(token, position, &[at as i32], wanted).is_err() {
                    return;
                }
                if wanted {
                    writing.read.push(batch.n_tokens() - 1);
                    outputs -= 1;
                }
                writing.unread.pop_front();
                slot.cached.push(token);
                room -= 1;
            }
        }
    }
}
