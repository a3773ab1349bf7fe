//! Writes the envelope around every response, whether it comes from a route, from axum itself, or from a panic.
//! Responses under `/v1` have the form of OpenAI's protocol instead.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use sutazai_core::Error;

use crate::app::App;
use crate::envelope::{self, Content};
use crate::error::ApiError;
use crate::middleware::answer::{self, ResponseMemory};
use crate::middleware::openai;
use crate::middleware::trace::TraceId;

/// Number of headers that this layer and the layers around it add to a response.
const ADDED_HEADERS: usize = 8;

/// Wraps the response of the inner services in the envelope. A stream passes unchanged.
pub(super) async fn wrap<F>(app: &App, request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let by_protocol = openai::is_protocol(request.uri().path());
    let trace_id = request.extensions().get::<TraceId>().map(|id| id.0.clone()).unwrap_or_default();
    let (mut response, content) = run(inner(request)).await;
    let headers = response.headers_mut();
    // Reserved once: otherwise the map would grow in several steps.
    headers.reserve(ADDED_HEADERS);
    // A response is specific to one caller and one moment, so caches must not store it.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(content) = content {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.remove(CONTENT_LENGTH);
        let memory = response.extensions_mut().remove::<ResponseMemory>();
        let bytes = match by_protocol {
            true => openai::write(content, &mut response),
            false => envelope::write(&content, app.engine().clock().now(), &trace_id).into(),
        };
        *response.body_mut() = answer::body(bytes, memory);
    }
    response
}

/// Runs the inner services; returns the response and its content. A panic becomes an internal error of this request
/// alone.
async fn run(inner: impl Future<Output = Response>) -> (Response, Option<Content>) {
    let mut response = match AssertUnwindSafe(inner).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            ApiError::from(Error::internal(format!("panicked: {}", panic_message(&*panic)))).into_response()
        }
    };
    let status = response.status();
    let mut content = response.extensions_mut().remove::<Content>();
    if content.is_none() && (status.is_client_error() || status.is_server_error()) {
        content = Some(Content::Failure(ApiError::of_status(status)));
    }
    (response, content)
}

/// Extracts the message of a panic, for the log.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
