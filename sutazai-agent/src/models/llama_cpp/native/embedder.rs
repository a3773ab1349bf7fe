//! Thread that owns an embedding model's context.
//!
//! Batch after batch it reads the texts of the queued requests, many in one batch, and returns the model's vector of
//! each text, pooled as the model file specifies.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use sutazai_core::{Error, Result};

use super::super::protocol::Purpose;
use super::{Answer, QUEUE_CAPACITY, Vectors};

/// Capacity of a batch in tokens over all its texts. It is also the longest text, unless the model was trained on
/// fewer.
const MAX_BATCH_TOKENS: usize = 2_048;

/// Maximum number of texts in one batch.
const MAX_BATCH_TEXTS: usize = 32;

/// Queued texts and the channel for their vectors.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) texts: Vec<Vec<LlamaToken>>,
    pub(super) answer: Box<dyn Answer<Result<Vectors>>>,
}

/// Request in progress, with the vectors of its first texts.
struct EmbeddingRequest {
    texts: Vec<Vec<LlamaToken>>,
    vectors: Vec<Vec<f32>>,
    answer: Box<dyn Answer<Result<Vectors>>>,
}

impl EmbeddingRequest {
    fn new(Reading { texts, answer }: Reading) -> Self {
        Self { vectors: Vec::with_capacity(texts.len()), texts, answer }
    }
}

/// Determines the purpose of a model from the file's metadata (github.com/ggml-org/ggml, docs/gguf.md).
///
/// The metadata says how the vectors of tokens are pooled into one of the text, and whether attention is causal, which
/// generating text requires.
///
/// # Errors
/// The reason, for models that neither generate text nor make embeddings, such as rerankers.
pub(super) fn purpose(model: &LlamaModel) -> std::result::Result<Purpose, &'static str> {
    let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
    let value = |key: &str| model.meta_val_str(&format!("{architecture}.{key}")).ok();
    purpose_by(value("pooling_type").as_deref(), value("attention.causal").as_deref())
}

fn purpose_by(pooling: Option<&str>, causal: Option<&str>) -> std::result::Result<Purpose, &'static str> {
    match (pooling, causal) {
        // llama.cpp's numbers: mean, first token, last token.
        (Some("1" | "2" | "3"), _) => Ok(Purpose::Embed),
        (Some("4"), _) => Err("the model in it ranks texts; it neither writes nor embeds"),
        (_, Some("false")) => Err("the model in it does not write, and names no pooling for embeddings"),
        _ => Ok(Purpose::Write),
    }
}

/// Returns the longest text in tokens.
pub(super) fn longest(model: &LlamaModel) -> usize {
    MAX_BATCH_TOKENS.min(model.n_ctx_train() as usize)
}

/// Creates the context, reports the result to `ready`, and serves requests until all senders of `readings` are dropped.
pub(super) fn run(
    backend: &LlamaBackend,
    model: &LlamaModel,
    readings: &Receiver<Reading>,
    ready: &Sender<Result<()>>,
    progress: &dyn Fn(),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = i32::try_from(threads).unwrap_or(1);
    // A text must be read in one batch, because without a causal mask its first token attends to the last.
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(MAX_BATCH_TOKENS as u32))
        .with_n_batch(MAX_BATCH_TOKENS as u32)
        .with_n_ubatch(MAX_BATCH_TOKENS as u32)
        .with_n_seq_max(MAX_BATCH_TEXTS as u32)
        .with_kv_unified(true)
        .with_embeddings(true)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let mut context = match model.new_context(backend, params) {
        Ok(context) => context,
        Err(e) => {
            let e = Error::unavailable("there is not enough memory for the model's context").with_source(e);
            let _ = ready.send(Err(e));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let mut batch = LlamaBatch::new(MAX_BATCH_TOKENS, 1);
    // Round-robin over requests, one batch each, so that many long texts of one caller do not delay the few of others.
    let mut round_robin: VecDeque<EmbeddingRequest> = VecDeque::new();
    loop {
        if round_robin.is_empty() {
            let Ok(reading) = readings.recv() else { return };
            round_robin.push_back(EmbeddingRequest::new(reading));
        }
        // Requests in progress are abandoned when all senders are dropped.
        while round_robin.len() < QUEUE_CAPACITY {
            match readings.try_recv() {
                Ok(reading) => round_robin.push_back(EmbeddingRequest::new(reading)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let Some(mut request) = round_robin.pop_front() else { continue };
        if request.answer.is_closed() {
            continue;
        }
        let rest = &request.texts[request.vectors.len()..];
        if !rest.is_empty() {
            match read(&mut context, &mut batch, &rest[..count_fitting(rest)]) {
                Ok(made) => request.vectors.extend(made),
                Err(e) => {
                    request.answer.send(Err(e));
                    continue;
                }
            }
            progress();
        }
        if request.vectors.len() < request.texts.len() {
            round_robin.push_back(request);
        } else {
            let tokens = request.texts.iter().map(Vec::len).sum::<usize>() as u32;
            request.answer.send(Ok((request.vectors, tokens)));
        }
    }
}

/// Returns how many of the texts fit into one batch; at least one, whose length was checked before.
fn count_fitting(texts: &[Vec<LlamaToken>]) -> usize {
    let mut tokens = 0;
    let fits = |text: &&Vec<LlamaToken>| {
        tokens += text.len();
        tokens <= MAX_BATCH_TOKENS
    };
    texts.iter().take(MAX_BATCH_TEXTS).take_while(fits).count().max(1)
}

fn read(
    context: &mut LlamaContext<'_>,
    batch: &mut LlamaBatch<'_>,
    texts: &[Vec<LlamaToken>],
) -> Result<Vec<Vec<f32>>> {
    batch.clear();
    for (sequence, text) in (0..).zip(texts) {
        batch.add_sequence(text, sequence, true).map_err(failed)?;
    }
    context.clear_kv_cache();
    context.decode(batch).map_err(failed)?;
    let vector = |sequence| match context.embeddings_seq_ith(sequence) {
        Ok(vector) => Ok(to_unit_length(vector)),
        Err(e) => Err(failed(e)),
    };
    (0..).take(texts.len()).map(vector).collect()
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("the model failed to decode the texts").with_source(e)
}

/// Scales a vector to unit length. Only its direction carries meaning, and the dot product of two unit vectors is their
/// cosine similarity.
fn to_unit_length(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|number| (f64::from(*number) * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purpose_follows_the_metadata() {
        assert_eq!(purpose_by(None, None), Ok(Purpose::Write));
        assert_eq!(purpose_by(Some("0"), Some("true")), Ok(Purpose::Write));
        assert_eq!(purpose_by(Some("1"), Some("false")), Ok(Purpose::Embed));
        assert_eq!(purpose_by(Some("3"), None), Ok(Purpose::Embed));
        assert!(purpose_by(Some("4"), Some("false")).unwrap_err().contains("ranks"));
        for pooling in [None, Some("0")] {
            assert!(purpose_by(pooling, Some("false")).unwrap_err().contains("does not write"));
        }
    }

    #[test]
    fn batches_are_filled_up_to_both_limits() {
        let texts =
            |lengths: &[usize]| -> Vec<_> { lengths.iter().map(|n| vec![LlamaToken(7); *n]).collect() };
        assert_eq!(count_fitting(&texts(&[1; 100])), MAX_BATCH_TEXTS);
        assert_eq!(count_fitting(&texts(&[MAX_BATCH_TOKENS, 1])), 1);
        assert_eq!(count_fitting(&texts(&[1_000, 1_000, 48, 1])), 3);
        assert_eq!(count_fitting(&texts(&[2_000, 49])), 1);
    }

    #[test]
    fn vectors_have_unit_length() {
        assert_eq!(to_unit_length(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(to_unit_length(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
