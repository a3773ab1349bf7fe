//! What all servers' answers have in common: a time limit, a schema to fit, and one end.
//!
//! A backend reads its protocol into [`Piece`]s; [`stream`] makes of them what the port promises.

use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use serde_json::Value;
use sutazai_core::domain::{Constraint, FinishReason, GenerateRequest, ModelEvent, ModelUsage};
use sutazai_core::ports::ModelStream;
use sutazai_core::{Error, Result, constraints};
use tokio::time::Instant;

/// One message of a server.
#[derive(Debug)]
pub(super) enum Piece {
    /// More text, perhaps none.
    Text(String),
    /// More of the words with which the model refuses to answer.
    Refusal(String),
    /// Some reasoning, which is no part of the answer.
    Reasoning,
    /// The end, with what the server counted.
    End { prompt_tokens: u32, completion_tokens: u32, finish_reason: FinishReason },
}

/// When an answer must be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<(Instant, Duration)>);

impl Deadline {
    /// That of a request which comes now.
    pub(super) fn of(request: &GenerateRequest) -> Self {
        Self(request.timeout.map(|timeout| (Instant::now() + timeout, timeout)))
    }

    /// Waits no longer than this.
    ///
    /// # Errors
    /// `Timeout`.
    pub(super) async fn wait<T>(self, future: impl Future<Output = T>) -> Result<T> {
        let Some((at, timeout)) = self.0 else { return Ok(future.await) };
        let late = |_| Error::timeout(format!("no answer within {timeout:?}"));
        tokio::time::timeout_at(at, future).await.map_err(late)
    }
}

/// Why an answer ended, by the words of the servers that there are.
///
/// # Errors
/// `Unavailable` for any other reason, such as that a server was stopped: what came is no whole answer.
pub(super) fn finish_reason(backend: &str, reason: &str) -> Result<FinishReason> {
    match reason.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => Ok(FinishReason::Stop),
        "length" | "max_tokens" | "model_length" => Ok(FinishReason::Length),
        "content_filter" | "safety" => Ok(FinishReason::ContentFilter),
        _ => {
            let reason: String = reason.chars().take(100).collect();
            Err(Error::unavailable(format!("{backend} ended its answer for the reason {reason:?}")))
        }
    }
}

/// A count of a server, where it gave one.
pub(super) fn count(value: Option<&Value>) -> Option<u32> {
    u32::try_from(value?.as_u64()?).ok()
}

/// The vectors of so many texts.
///
/// # Errors
/// `Unavailable` unless there is one for each text, all of them of one length and of finite numbers.
pub(super) fn vectors(backend: &str, vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>> {
    if vectors.len() != texts {
        return Err(Error::unavailable(format!(
            "{backend} gave {} embeddings for {texts} texts",
            vectors.len()
        )));
    }
    let length = vectors.first().map_or(0, Vec::len);
    let good = |vector: &Vec<f32>| {
        !vector.is_empty() && vector.len() == length && vector.iter().all(|number| number.is_finite())
    };
    if !vectors.iter().all(good) {
        let message =
            format!("{backend} gave an embedding that is empty, of another length or not of numbers");
        return Err(Error::unavailable(message));
    }
    Ok(vectors)
}

/// The answer as the port promises it: text, then one `Done`; or an error, then nothing. A text that ended by itself
/// and does not fit the constraint ends with an error: it was sent by then, but nobody takes it for an answer.
pub(super) fn stream(
    pieces: impl Stream<Item = Result<Piece>> + Send + 'static,
    request: &GenerateRequest,
    deadline: Deadline,
    backend: &str,
    model: String,
) -> ModelStream {
    let state = State {
        pieces: Box::pin(pieces),
        constraint: request.constraint.clone(),
        deadline,
        backend: backend.to_owned(),
        model,
        text: String::new(),
        refusal: String::new(),
        is_empty: true,
        reasoned: false,
    };
    stream::unfold(Some(state), |state| async {
        let mut state = state?;
        match state.next().await {
            Ok(event @ ModelEvent::Text(_)) => Some((Ok(event), Some(state))),
            end => Some((end, None)),
        }
    })
    .boxed()
}

struct State<S> {
    pieces: S,
    constraint: Option<Constraint>,
    deadline: Deadline,
    backend: String,
    model: String,
    /// What was written so far, when it must fit a constraint.
    text: String,
    refusal: String,
    /// Whether no text has come.
    is_empty: bool,
    /// Whether some reasoning has come.
    reasoned: bool,
}

impl<S: Stream<Item = Result<Piece>> + Unpin> State<S> {
    async fn next(&mut self) -> Result<ModelEvent> {
        loop {
            let piece = self.deadline.wait(self.pieces.next()).await?;
            let ended = || {
                Error::unavailable(format!("{} closed the connection before its answer ended", self.backend))
            };
            match piece.ok_or_else(ended)?? {
                Piece::Text(text) if text.is_empty() => {}
                Piece::Text(text) => {
                    if self.constraint.is_some() {
                        self.text.push_str(&text);
                    }
                    self.is_empty = false;
                    return Ok(ModelEvent::Text(text));
                }
                Piece::Refusal(words) => self.refusal.push_str(&words),
                Piece::Reasoning => self.reasoned = true,
                Piece::End { prompt_tokens, completion_tokens, finish_reason } => {
                    self.check_end(finish_reason).await?;
                    return Ok(ModelEvent::Done(ModelUsage {
                        backend: self.backend.clone(),
                        model: self.model.clone(),
                        prompt_tokens,
                        completion_tokens,
                        finish_reason,
                        refusal: Some(std::mem::take(&mut self.refusal))
                            .filter(|refusal| !refusal.is_empty()),
                        degraded: None,
                        fluency: None,
                    }));
                }
            }
        }
    }

    /// Whether what came is an answer. A refusal is one, and so is what a filter left.
    async fn check_end(&mut self, finish_reason: FinishReason) -> Result<()> {
        if !self.refusal.is_empty() || finish_reason != FinishReason::Stop {
            return Ok(());
        }
        if self.is_empty && self.reasoned {
            return Err(Error::misfit(format!(
                "the model of {} wrote its reasoning and no answer",
                self.backend
            )));
        }
        match &self.constraint {
            Some(constraint) => constraints::check_answer(constraint, &self.text).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_and_an_unknown_one_is_no_good_end() {
        assert_eq!(finish_reason("b", "SAFETY").unwrap(), FinishReason::ContentFilter);
        assert_eq!(finish_reason("b", "eos_token").unwrap(), FinishReason::Stop);
        assert!(finish_reason("b", "abort").unwrap_err().message().contains("\"abort\""));
    }

    #[test]
    fn vectors_are_numbers_and_all_of_one_length() {
        assert_eq!(vectors("b", vec![vec![0.5], vec![1.0]], 2).unwrap().len(), 2);
        for bad in [
            vec![vec![], vec![]],
            vec![vec![1.0], vec![1.0, 2.0]],
            vec![vec![f32::INFINITY], vec![1.0]],
            vec![vec![1.0]],
        ] {
            assert_eq!(vectors("b", bad, 2).unwrap_err().kind(), sutazai_core::ErrorKind::Unavailable);
        }
    }
}
