//! Limits of request bodies: their size, the time in which they arrive, and the memory that all of them may take together.
//!
//! Every limit is checked on bytes, before anything parses them; those of a body with a content coding are counted as they are
//! unpacked.

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
use crate::protection::body_limit::BodyLimit;
use crate::protection::request_memory::{CallerMemory, TakenMemory};

/// Time after which a request that found no memory may be repeated.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Time for which the rest of a refused body is read and dropped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that are unpacked before they are counted.
const UNPACKED_CHUNK: usize = 32 * 1_024;

/// Reads the body within `limit`, unpacked where it came packed, and answers 413, 408 (RFC 9110, 15.5.9), 415 or 503
/// otherwise. Memory is counted as bytes arrive, so that a body that was only announced takes none, and until the request is
/// answered.
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
    let is_packed = match is_packed(request.headers()) {
        Ok(is_packed) => is_packed,
        Err(refused) => {
            drain(request).await;
            let mut response = closing(refused);
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
    };
    let packed = Rest::default();
    if is_packed {
        request.headers_mut().remove(CONTENT_ENCODING);
        request.headers_mut().remove(CONTENT_LENGTH);
        request = request.map(|body| unpacked(body, packed.clone()));
    }
    let reading = Reading::new(&app, limit, is_packed, request.extensions().get());
    let time = app.protection().body_timeout;
    // The size is checked here, with the limit of this route.
    DefaultBodyLimit::disable().apply(&mut request);
    let expects_continue = request.headers().contains_key(EXPECT);
    let rest = Arc::new(Mutex::new(None));
    let request = request.map(|body| Body::from_stream(reading.clone().read(body, time, rest.clone())));
    let response = next.run(request).await;
    let Some(refusal) = reading.refusal.get() else { return response };
    // Of a packed body the bytes that came are dropped, and nothing more is unpacked.
    let rest = if is_packed { packed } else { rest };
    let rest = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(response);
    if let Some(rest) = rest.filter(|_| !expects_continue) {
        discard(rest).await;
    }
    closing(refusal.clone())
}

/// A body that is being read, with the memory that it takes.
#[derive(Clone)]
struct Reading {
    limit: BodyLimit,
    is_packed: bool,
    memory: CallerMemory,
    taken: Arc<Mutex<Option<TakenMemory>>>,
    refusal: Arc<OnceLock<ApiError>>,
}

type Rest = Arc<Mutex<Option<BodyDataStream>>>;

impl Reading {
    fn new(app: &App, limit: BodyLimit, is_packed: bool, caller: Option<&Caller>) -> Self {
        let memory = app.request_memory().of(caller.and_then(Caller::owner));
        Self { limit, is_packed, memory, taken: Arc::default(), refusal: Arc::default() }
    }

    /// The chunks of a body, and an error instead of the first one that is too much or too late. `rest` then gets what
    /// has not been read.
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
                // From the first look at the body: until then the request waits for us.
                let deadline = deadline.unwrap_or_else(|| Instant::now() + time);
                let refused = match timeout_at(deadline, chunks.next()).await {
                    Ok(None) => return None,
                    Ok(Some(Err(_))) if reading.is_packed => ApiError::malformed("the body is no gzip"),
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
                // The first refusal is the only one: nothing is read after it.
                let _ = reading.refusal.set(refused);
                Some((Err(e), None))
            }
        })
    }

    /// Counts a chunk of a body of which so much has been read.
    fn take(&self, chunk: usize, read: usize) -> Result<(), ApiError> {
        if read > self.limit.bytes {
            return Err(ApiError::too_large(self.limit.bytes));
        }
        let Some(more) = self.memory.take(chunk * self.limit.memory_factor) else {
            let message = "the requests under way take all memory that bodies may take";
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

/// Whether a body came packed with gzip.
///
/// # Errors
/// 415 for any other coding (RFC 9110, 15.5.16), and for more than one.
fn is_packed(headers: &HeaderMap) -> Result<bool, ApiError> {
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

/// What a packed body holds, unpacked as it is read. The bytes that came stay in `packed`, from where they can be taken.
fn unpacked(body: Body, packed: Rest) -> Body {
    *packed.lock().unwrap_or_else(PoisonError::into_inner) = Some(body.into_data_stream());
    let chunks = stream::poll_fn(move |context| {
        match packed.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(chunks) => chunks.poll_next_unpin(context),
            None => Poll::Ready(None),
        }
    });
    let packed = StreamReader::new(chunks.map_err(std::io::Error::other));
    let mut decoder = GzipDecoder::new(packed);
    decoder.multiple_members(true);
    Body::from_stream(ReaderStream::with_capacity(decoder, UNPACKED_CHUNK))
}

/// Answers, and closes the connection: what still comes belongs to a request that has been answered.
fn closing(refusal: ApiError) -> Response {
    let mut response = refusal.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads and drops the body of a refused request. A connection that is closed with unread bytes is reset, and its peer
/// may then never read the answer. A peer that waits for `100 Continue` sends nothing, and is not told to.
async fn drain(request: Request) {
    if !request.headers().contains_key(EXPECT) {
        discard(request.into_body().into_data_stream()).await;
    }
}

async fn discard(mut chunks: BodyDataStream) {
    let all = async { while let Some(Ok(_)) = chunks.next().await {} };
    // Whatever comes later is lost with the connection.
    let _ = timeout(DRAIN_TIMEOUT, all).await;
}
