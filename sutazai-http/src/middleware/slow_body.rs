//! Ends requests whose body trickles in: one that never ends would keep its place for as long as its sender likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use sutazai_core::Error;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::error::ApiError;

/// Answers 408 (RFC 9110, 15.5.9) when the body has not arrived in time.
pub(super) async fn limit(app: &App, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let limit = app.protection().body_timeout;
    let late = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| Body::from_stream(in_time(body, limit, late.clone())));
    let response = next.run(request).await;
    if !late.load(Ordering::Relaxed) {
        return response;
    }
    let mut response = ApiError::slow_body(limit).into_response();
    // What still comes belongs to a request that has been answered.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The pieces of a body until the time is up, and an error then.
fn in_time(
    body: Body,
    limit: Duration,
    late: Arc<AtomicBool>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
    let deadline = Instant::now() + limit;
    stream::unfold(Some(body.into_data_stream()), move |pieces| {
        let late = late.clone();
        async move {
            let mut pieces = pieces?;
            match timeout_at(deadline, pieces.next()).await {
                Ok(piece) => Some((piece?, Some(pieces))),
                Err(_) => {
                    late.store(true, Ordering::Relaxed);
                    Some((Err(axum::Error::new(Error::timeout("the body did not arrive in time"))), None))
                }
            }
        }
    })
}
