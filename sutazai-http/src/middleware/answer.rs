//! Counts the memory of large responses until they are sent. Without this, clients that read slowly could make the
//! server hold any number of responses.

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
use crate::security::request_memory::AcquiredMemory;

/// Responses of fewer bytes are not counted, because the buffer of a connection holds as much anyway.
const MIN_COUNTED: usize = 64 * 1_024;
/// Bytes that a connection gets at a time. The bytes are copied: a slice would keep the whole response alive until
/// its last part is sent.
const CHUNK_BYTES: usize = 32 * 1_024;
/// Time after which a request that was rejected for lack of memory may be repeated.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Memory of a response whose envelope has not been written yet.
#[derive(Debug, Clone)]
pub(super) struct ResponseMemory {
    _taken: Arc<AcquiredMemory>,
}

/// Acquires the memory of a large response from its caller's budget; responds with 503 when the budget is exhausted.
pub(super) fn count(app: &App, caller: Option<&Caller>, mut response: Response) -> Response {
    let Some(Content::Data(data)) = response.extensions().get::<Content>() else { return response };
    if data.len() < MIN_COUNTED {
        return response;
    }
    match app.request_memory().of(caller.and_then(Caller::owner)).take(data.len()) {
        Some(taken) => {
            response.extensions_mut().insert(ResponseMemory { _taken: taken.into() });
            response
        }
        None => {
            let message = "the memory for responses that clients have not read yet is exhausted";
            ApiError::from(Error::new(ErrorKind::Busy, message).with_retry_after(RETRY_AFTER)).into_response()
        }
    }
}

/// Creates a body that holds `memory` until all its bytes are sent.
pub(super) fn body(bytes: Bytes, memory: Option<ResponseMemory>) -> Body {
    match memory {
        Some(memory) => Body::new(CountedBody { rest: bytes, _memory: memory }),
        None => Body::from(bytes),
    }
}

struct CountedBody {
    rest: Bytes,
    _memory: ResponseMemory,
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
        let length = self.rest.len().min(CHUNK_BYTES);
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
