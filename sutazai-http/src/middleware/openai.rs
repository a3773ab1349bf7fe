//! Writes answers in the form that OpenAI's clients read (platform.openai.com/docs/guides/error-codes): the bare data, or
//! `{"error": {"message", "type", "param", "code"}}`.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::envelope::{Written, run};
use crate::dto::openai::error::ProtocolError;
use crate::envelope::Content;

/// Writes what the inner services answer, so that the envelope leaves it alone.
pub(crate) async fn write(request: Request, next: Next) -> Response {
    let (mut response, content) = run(next.run(request)).await;
    let body = match content {
        Some(Content::Data(data)) => Body::from(data),
        Some(Content::Failure(e)) => {
            let e = ProtocolError::from(&e);
            *response.status_mut() = e.status();
            Body::from(e.to_json())
        }
        None => return response,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().remove(CONTENT_LENGTH);
    response.extensions_mut().insert(Written);
    *response.body_mut() = body;
    response
}
