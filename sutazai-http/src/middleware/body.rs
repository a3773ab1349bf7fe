//! Limits of request bodies: their size, the time in which they arrive, and the memory of all of them together.
//!
//! Every limit is checked on bytes, before anything parses them. Bodies with a content coding are counted as they are
//! decompressed, so that a small compressed body cannot expand without bounds.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use sutazai_core::domain::Caller;
use sutazai_core::{Error, ErrorKind};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::app::App;
use crate::error::ApiError;
use crate::security::body_limit::BodyLimit;
use crate::security::request_memory::{AcquiredMemory, CallerMemory};

/// Time after which a request that was rejected for lack of memory may be repeated.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Maximum time for which the rest of a rejected body is read and discarded.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that are decompressed at a time, before they are counted.
const DECOMPRESSED_CHUNK: usize = 32 * 1_024;

/// Passes the request on with a body that is bounded by `limit`, and decompressed if it has a content coding.
/// Responds with 413, 408 (RFC 9110, 15.5.9), 415 or 503 when a limit is exceeded. Memory is counted as bytes arrive,
/// so a body that was only announced takes none; it is released when the request has been answered.
pub(crate) async fn limit(
    State((app, limit)): State<(App, BodyLimit)>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    if request.body().size_hint().lower() > limit.bytes as u64 {
        drain(request).await;
        return closing(ApiError::too_large(limit.bytes));
    }
    let is_compressed = match is_compressed(request.headers()) {
        Ok(is_compressed) => is_compressed,
        Err(refused) => {
            drain(request).await;
            let mut response = closing(refused);
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
    };
    let compressed_rest = Rest::default();
    if is_compressed {
        request.headers_mut().remove(CONTENT_ENCODING);
        request.headers_mut().remove(CONTENT_LENGTH);
        request = request.map(|body| decompressed(body, compressed_rest.clone()));
    }
    let reading = Reading::new(&app, limit, is_compressed, request.extensions().get());
    let time = app.protection().body_timeout;
    // axum's own limit is replaced by the one of this route.
    DefaultBodyLimit::disable().apply(&mut request);
    let expects_continue = request.headers().contains_key(EXPECT);
    let rest = Arc::new(Mutex::new(None));
    let request = request.map(|body| Body::from_stream(reading.clone().read(body, time, rest.clone())));
    let response = next.run(request).await;
    let Some(refusal) = reading.refusal.get() else { return response };
    // Of a compressed body, the bytes as they arrived are discarded: decompressing them would be wasted work.
    let rest = if is_compressed { compressed_rest } else { rest };
    let rest = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(response);
    if let Some(rest) = rest.filter(|_| !expects_continue) {
        discard(rest).await;
    }
    closing(refusal.clone())
}

/// State of reading one body, with the memory that it holds.
#[derive(Clone)]
struct Reading {
    limit: BodyLimit,
    is_compressed: bool,
    memory: CallerMemory,
    taken: Arc<Mutex<Option<AcquiredMemory>>>,
    refusal: Arc<OnceLock<ApiError>>,
}

/// Part of a body that has not been read, to be discarded when the request is rejected.
type Rest = Arc<Mutex<Option<BodyDataStream>>>;

impl Reading {
    fn new(app: &App, limit: BodyLimit, is_compressed: bool, caller: Option<&Caller>) -> Self {
        let memory = app.request_memory().of(caller.and_then(Caller::owner));
        Self { limit, is_compressed, memory, taken: Arc::default(), refusal: Arc::default() }
    }

    /// Streams the chunks of a body; the first chunk that exceeds a limit is replaced by an error, and the unread
    /// part of the body is stored in `rest`.
    fn read(
        self,
        body: Body,
        time: Duration,
        rest: Rest,
    ) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
        let state = Some((body.into_data_stream(), None, 0));
        stream::unfold(state, move |state| {
            let (reading, rest) = (self.clone(), rest.clone());
            async move {
                let (mut chunks, deadline, mut read) = state?;
                // The time runs from the first poll: until then the server makes the client wait, not the reverse.
                let deadline = deadline.unwrap_or_else(|| Instant::now() + time);
                let refused = match timeout_at(deadline, chunks.next()).await {
                    Ok(None) => return None,
                    Ok(Some(Err(_))) if reading.is_compressed => {
                        ApiError::malformed("the body is not valid gzip")
                    }
                    Ok(Some(Err(e))) => return Some((Err(e), None)),
                    Ok(Some(Ok(chunk))) => {
                        read += chunk.len();
                        match reading.take(chunk.len(), read) {
                            Ok(()) => return Some((Ok(chunk), Some((chunks, Some(deadline), read)))),
                            Err(refused) => refused,
                        }
                    }
                    Err(_) => ApiError::slow_body(time),
                };
                *rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(chunks);
                let e = axum::Error::new(Error::new(ErrorKind::InvalidInput, refused.message()));
                // Set once: the stream ends with the first rejection.
                let _ = reading.refusal.set(refused);
                Some((Err(e), None))
            }
        })
    }

    /// Counts a chunk of a body of which `read` bytes have arrived, this chunk included.
    fn take(&self, chunk: usize, read: usize) -> Result<(), ApiError> {
        if read > self.limit.bytes {
            return Err(ApiError::too_large(self.limit.bytes));
        }
        let Some(more) = self.memory.take(chunk * self.limit.memory_factor) else {
            let message = "the memory for request bodies is exhausted";
            return Err(Error::new(ErrorKind::Busy, message).with_retry_after(RETRY_AFTER).into());
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// Returns whether a body is compressed with gzip.
///
/// # Errors
/// 415 for any other coding (RFC 9110, 15.5.16), and for more than one.
fn is_compressed(headers: &HeaderMap) -> Result<bool, ApiError> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| ApiError::unsupported_coding())?.to_ascii_lowercase();
        codings.extend(value.split(',').map(|coding| coding.trim().to_owned()));
    }
    codings.retain(|coding| !["", "identity"].contains(&coding.as_str()));
    match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(false),
        ["gzip" | "x-gzip"] => Ok(true),
        _ => Err(ApiError::unsupported_coding()),
    }
}

/// Decompresses a body while it is read. The compressed stream stays in `rest`, from where it can be taken to discard
/// it.
fn decompressed(body: Body, rest: Rest) -> Body {
    *rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(body.into_data_stream());
    let chunks =
        stream::poll_fn(move |context| match rest.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(chunks) => chunks.poll_next_unpin(context),
            None => Poll::Ready(None),
        });
    let compressed = StreamReader::new(chunks.map_err(std::io::Error::other));
    let mut decoder = GzipDecoder::new(compressed);
    decoder.multiple_members(true);
    Body::from_stream(ReaderStream::with_capacity(decoder, DECOMPRESSED_CHUNK))
}

/// Responds with a rejection and closes the connection, because the rest of the body may still arrive on it.
fn closing(refusal: ApiError) -> Response {
    let mut response = refusal.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads and discards the body of a rejected request. Closing a connection with unread bytes resets it, and the peer
/// might never receive the response. A peer that waits for `100 Continue` sends no body and is not told to.
async fn drain(request: Request) {
    if !request.headers().contains_key(EXPECT) {
        discard(request.into_body().into_data_stream()).await;
    }
}

async fn discard(mut chunks: BodyDataStream) {
    let all = async { while let Some(Ok(_)) = chunks.next().await {} };
    // The time limit protects against an endless body. What arrives later is lost with the connection.
    let _ = timeout(DRAIN_TIMEOUT, all).await;
}
