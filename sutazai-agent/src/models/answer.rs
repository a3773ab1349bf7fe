//! Behavior that answers of all model servers share: a deadline, a constraint check and exactly one end.
//!
//! A backend decodes its protocol into [`Piece`]s; [`stream`] turns them into the events that the port promises.

use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use serde_json::Value;
use sutazai_core::domain::{Constraint, FinishReason, GenerateRequest, ModelEvent, ModelUsage};
use sutazai_core::ports::ModelStream;
use sutazai_core::{Error, Result, adapter};
use tokio::time::Instant;

/// One decoded message of a model server.
#[derive(Debug)]
pub(super) enum Piece {
    /// Further text of the answer, possibly empty.
    Text(String),
    /// Further text of the model's refusal to answer.
    #[cfg_attr(
        not(feature = "openai"),
        allow(dead_code, reason = "only the protocol of OpenAI has refusals")
    )]
    Refusal(String),
    /// Reasoning of the model, which is not part of the answer.
    Reasoning,
    /// End of the answer, with the token counts of the server.
    End { prompt_tokens: u32, completion_tokens: u32, finish_reason: FinishReason },
}

/// Time limit of an answer: the instant at which it expires and the timeout that led to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<(Instant, Duration)>);

impl Deadline {
    /// Starts the time limit of `request` now; without a timeout in the request the deadline never expires.
    pub(super) fn of(request: &GenerateRequest) -> Self {
        Self(request.timeout.map(|timeout| (Instant::now() + timeout, timeout)))
    }

    /// Awaits `future` until the deadline expires.
    ///
    /// # Errors
    /// `Timeout` when the deadline expires first.
    pub(super) async fn wait<T>(self, future: impl Future<Output = T>) -> Result<T> {
        let Some((at, timeout)) = self.0 else { return Ok(future.await) };
        let late = |_| Error::timeout(format!("no answer within {timeout:?}"));
        tokio::time::timeout_at(at, future).await.map_err(late)
    }
}

/// Maps a server's finish reason to a [`FinishReason`], in the spellings of the known servers.
///
/// # Errors
/// `Unavailable` for any other reason, such as a server shutdown, because the answer is then incomplete.
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

/// Reads a token count; `None` when it is missing or does not fit into 32 bits.
pub(super) fn count(value: Option<&Value>) -> Option<u32> {
    u32::try_from(value?.as_u64()?).ok()
}

/// Validates that `vectors` has one embedding for each of `texts` texts.
///
/// # Errors
/// `Unavailable` unless there is one vector a text, all of one non-zero length and of finite numbers.
pub(super) fn vectors(backend: &str, vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>> {
    if vectors.len() != texts {
        return Err(Error::unavailable(format!(
            "{backend} returned {} embeddings for {texts} texts",
            vectors.len()
        )));
    }
    let length = vectors.first().map_or(0, Vec::len);
    let good = |vector: &Vec<f32>| {
        !vector.is_empty() && vector.len() == length && vector.iter().all(|number| number.is_finite())
    };
    if !vectors.iter().all(good) {
        let message =
            format!("{backend} returned an embedding that is empty, of another length or not of numbers");
        return Err(Error::unavailable(message));
    }
    Ok(vectors)
}

/// Returns the event stream that the port promises: text and then one `Done`, or an error and then nothing.
///
/// A text that ended by itself and violates the constraint ends with an error. Its pieces have been sent by then, but
/// without `Done` no caller takes them for an answer.
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
    /// Text received so far; collected only when there is a constraint to check.
    text: String,
    refusal: String,
    /// Indicates that no text has been received yet.
    is_empty: bool,
    /// Indicates that the model has sent reasoning.
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

    /// Checks that the received text is a valid answer. A refusal is valid, and so is a text that a filter or the token
    /// limit cut off: the finish reason tells the caller.
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
            Some(constraint) => adapter::check_answer(constraint, &self.text).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_reasons_are_distinguished_and_an_unknown_one_is_an_error() {
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
