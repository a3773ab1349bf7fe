//! The thread that owns an embedding model's context: request after request it reads texts, many in one batch, and gives
//! what the model makes of each, pooled as the model's file says.

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

/// Tokens of all texts that are read in one batch; so long is the longest text, unless the model was trained on fewer.
const BATCH: usize = 2_048;

/// Texts that are read in one batch.
const TEXTS: usize = 32;

/// Texts on their way to the model, and who waits for their vectors.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) texts: Vec<Vec<LlamaToken>>,
    pub(super) answer: Box<dyn Answer<Result<Vectors>>>,
}

/// A request that is being read, and the vectors of its first texts.
struct Turn {
    texts: Vec<Vec<LlamaToken>>,
    vectors: Vec<Vec<f32>>,
    answer: Box<dyn Answer<Result<Vectors>>>,
}

impl Turn {
    fn new(Reading { texts, answer }: Reading) -> Self {
        Self { vectors: Vec::with_capacity(texts.len()), texts, answer }
    }
}

/// What the model is made for, as the file's metadata says (github.com/ggml-org/ggml, docs/gguf.md): how vectors of
/// tokens become one of the text, and whether a token sees only those before it, which writing needs.
///
/// # Errors
/// The reason, for models that neither write nor embed, such as those that rank.
pub(super) fn purpose(model: &LlamaModel) -> std::result::Result<Purpose, &'static str> {
    let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
    let value = |key: &str| model.meta_val_str(&format!("{architecture}.{key}")).ok();
    purpose_by(value("pooling_type").as_deref(), value("attention.causal").as_deref())
}

fn purpose_by(pooling: Option<&str>, causal: Option<&str>) -> std::result::Result<Purpose, &'static str> {
    match (pooling, causal) {
        // llama.cpp's numbers: mean, the first token, the last token.
        (Some("1" | "2" | "3"), _) => Ok(Purpose::Embed),
        (Some("4"), _) => Err("the model in it ranks texts; it neither writes nor embeds"),
        (_, Some("false")) => {
            Err("the model in it does not write, nor say how it makes one vector of a text")
        }
        _ => Ok(Purpose::Write),
    }
}

/// The longest text in tokens.
pub(super) fn longest(model: &LlamaModel) -> usize {
    BATCH.min(model.n_ctx_train() as usize)
}

/// Makes the context, says whether that went well, and works until nobody can send texts any more.
pub(super) fn run(
    backend: &LlamaBackend,
    model: &LlamaModel,
    readings: &Receiver<Reading>,
    ready: &Sender<Result<()>>,
    progress: &dyn Fn(),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = i32::try_from(threads).unwrap_or(1);
    // A text is read whole or not at all: its first token sees the last.
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(BATCH as u32))
        .with_n_batch(BATCH as u32)
        .with_n_ubatch(BATCH as u32)
        .with_n_seq_max(TEXTS as u32)
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
    let mut batch = LlamaBatch::new(BATCH, 1);
    // One batch of each request in turn: many long texts of one caller let the few of others pass.
    let mut turns: VecDeque<Turn> = VecDeque::new();
    loop {
        if turns.is_empty() {
            let Ok(reading) = readings.recv() else { return };
            turns.push_back(Turn::new(reading));
        }
        // What is under way is left when nobody can ask any more.
        while turns.len() < QUEUE_CAPACITY {
            match readings.try_recv() {
                Ok(reading) => turns.push_back(Turn::new(reading)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let Some(mut turn) = turns.pop_front() else { continue };
        if turn.answer.is_closed() {
            continue;
        }
        let rest = &turn.texts[turn.vectors.len()..];
        if !rest.is_empty() {
            match read(&mut context, &mut batch, &rest[..fitting(rest)]) {
                Ok(made) => turn.vectors.extend(made),
                Err(e) => {
                    turn.answer.send(Err(e));
                    continue;
                }
            }
            progress();
        }
        if turn.vectors.len() < turn.texts.len() {
            turns.push_back(turn);
        } else {
            let tokens = turn.texts.iter().map(Vec::len).sum::<usize>() as u32;
            turn.answer.send(Ok((turn.vectors, tokens)));
        }
    }
}

/// How many of the texts fit in one batch; at least one, whose length was checked.
fn fitting(texts: &[Vec<LlamaToken>]) -> usize {
    let mut tokens = 0;
    let fits = |text: &&Vec<LlamaToken>| {
        tokens += text.len();
        tokens <= BATCH
    };
    texts.iter().take(TEXTS).take_while(fits).count().max(1)
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
        Ok(vector) => Ok(of_unit_length(vector)),
        Err(e) => Err(failed(e)),
    };
    (0..).take(texts.len()).map(vector).collect()
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("the model could not read the texts").with_source(e)
}

/// The direction of a vector is what says something; of unit length the product of two is how alike they are.
fn of_unit_length(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|number| (f64::from(*number) * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_is_for() {
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
    fn batches_are_as_full_as_they_may_be() {
        let texts =
            |lengths: &[usize]| -> Vec<_> { lengths.iter().map(|n| vec![LlamaToken(7); *n]).collect() };
        assert_eq!(fitting(&texts(&[1; 100])), TEXTS);
        assert_eq!(fitting(&texts(&[BATCH, 1])), 1);
        assert_eq!(fitting(&texts(&[1_000, 1_000, 48, 1])), 3);
        assert_eq!(fitting(&texts(&[2_000, 49])), 1);
    }

    #[test]
    fn vectors_have_unit_length() {
        assert_eq!(of_unit_length(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(of_unit_length(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
