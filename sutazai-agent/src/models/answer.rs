//! What all servers' answers have in common: a time limit, a schema to fit, and one end.
//!
//! A backend reads its protocol into [`Piece`]s; [`stream`] makes of them what the port promises.

use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use sutazai_core::domain::{Constraint, FinishReason, GenerateRequest, ModelEvent, ModelUsage};
use sutazai_core::ports::ModelStream;
use sutazai_core::{Error, Result, constraints};
use tokio::time::Instant;

/// One message of a server.
#[derive(Debug)]
pub(super) enum Piece {
    /// More text, perhaps none.
    Text(String),
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

/// The answer as the port promises it: text, then one `Done`; or an error, then nothing. A text that ended by itself
/// and does not fit the constraint ends with an error: it was sent by then, but nobody takes it for an answer.
pub(super) fn stream(
    pieces: impl Stream<Item = Result<Piece>> + Send + 'static,
    request: &GenerateRequest,
    deadline: Deadline,
    backend: &str,
    model: String,
) -> ModelStream {
    let constraint = request.constraint.clone();
    let backend = backend.to_owned();
    let state = State { pieces: Box::pin(pieces), constraint, deadline, backend, model, text: String::new() };
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
                    return Ok(ModelEvent::Text(text));
                }
                Piece::End { prompt_tokens, completion_tokens, finish_reason } => {
                    if let (Some(constraint), FinishReason::Stop) = (&self.constraint, finish_reason) {
                        constraints::check_answer(constraint, &self.text).await?;
                    }
                    return Ok(ModelEvent::Done(ModelUsage {
                        backend: self.backend.clone(),
                        model: self.model.clone(),
                        prompt_tokens,
                        completion_tokens,
                        finish_reason,
                        degraded: None,
                        fluency: None,
                    }));
                }
            }
        }
    }
}
