//! Counts the memory of large answers until their callers have read them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use sutazai_core::domain::Caller;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::envelope::Content;
use crate::error::ApiError;
use crate::protection::request_memory::TakenMemory;

/// Answers of fewer bytes are not counted: the buffer of a connection holds as much.
const MIN_COUNTED: usize = 64 * 1_024;
/// Bytes that a connection gets at a time. They are copied, so that its buffer does not keep the whole answer.
const PIECE: usize = 32 * 1_024;
/// Time after which a request whose answer found no memory may be repeated.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Memory of an answer whose envelope has not been written yet.
#[derive(Debug, Clone)]
pub(super) struct AnswerMemory {
    _taken: Arc<TakenMemory>,
}

/// Takes the memory of a large answer from its caller's share, and answers 503 instead when it is not there.
pub(super) fn count(app: &App, caller: Option<&Caller>, mut response: Response) -> Response {
    let Some(Content::Data(data)) = response.extensions().get::<Content>() else { return response };
    if data.len() < MIN_COUNTED {
        return response;
    }
    match app.request_memory().of(caller.and_then(Caller::owner)).take(data.len()) {
        Some(taken) => {
            response.extensions_mut().insert(AnswerMemory { _taken: taken.into() });
            response
        }
        None => {
            let message =
                "the answers that their callers have not read yet take all memory that they may take";
            ApiError::from(Error::new(ErrorKind::Busy, message).with_retry_after(RETRY_AFTER)).into_response()
        }
    }
}

/// The body with these bytes, which holds the memory as long as they are not all sent.
pub(super) fn body(bytes: Bytes, memory: Option<AnswerMemory>) -> Body {
    match memory {
        Some(memory) => Body::new(CountedBody { rest: bytes, _memory: memory }),
        None => Body::from(bytes),
    }
}

struct CountedBody {
    rest: Bytes,
    _memory: AnswerMemory,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = Bytes::copy_from_slice(&self.rest.split_to(length));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
