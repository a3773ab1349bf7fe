//! Error responses. This is the only place that maps error kinds to HTTP status codes.

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use sutazai_bodies::error::{ErrorBody, ErrorDetails};
use sutazai_bodies::readiness::ReadinessReport;
use sutazai_core::{Error, ErrorKind};

/// Maximum length of an error message and of the field it names, in characters.
const MAX_TEXT_CHARS: usize = 500;

/// Error of a request as the caller sees it; `middleware::envelope` writes it into the response.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    retry_after: Option<Duration>,
    readiness: Option<ReadinessReport>,
}

impl ApiError {
    /// Creates a 400 for a request that cannot be parsed, as opposed to one with invalid values (422).
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// Creates a 415 for a body whose content type is not `expected`.
    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        let message = format!("expected a body of content type {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// Creates a 415 for a body with a content coding other than gzip.
    pub(crate) fn unsupported_coding() -> Self {
        let message = "expected a body without a content coding, or with gzip";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// Creates the error for a request that is not the opening handshake of a WebSocket.
    pub(crate) fn no_handshake(e: &WebSocketUpgradeRejection) -> Self {
        let status = match e.status() {
            // The request itself is well-formed, it only lacks the upgrade: 426 says so, 400 would not.
            StatusCode::BAD_REQUEST => StatusCode::UPGRADE_REQUIRED,
            status => status,
        };
        Self::new(
            status,
            "malformed",
            format!("expected the opening handshake of a WebSocket: {}", e.body_text()),
        )
    }

    /// Creates a 413 for a body of more than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("expected a body of at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    }

    /// Creates a 408 for a body that did not arrive within `limit`.
    pub(crate) fn slow_body(limit: Duration) -> Self {
        let message = format!("expected the whole body within {} seconds", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    /// Creates a 403 for a request from a web page whose origin may not call this server.
    pub(crate) fn foreign_page() -> Self {
        let message = "pages of this origin may not call this server; see CORS_ORIGINS";
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Forbidden.as_str(), message)
    }

    /// Creates an error from a bare status code, such as axum's own responses to an unknown path or method.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(status, "not_found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method_not_allowed",
                "this path does not support this method; see the Allow header",
            ),
            StatusCode::MISDIRECTED_REQUEST => Self::new(
                status,
                "misdirected",
                "expected a Host header that names localhost, a loopback address or the address of LISTEN",
            ),
            status if status.is_server_error() => {
                Self::from(Error::internal(format!("response without content: {status}")))
            }
            status => Self::new(
                status,
                "malformed",
                status.canonical_reason().unwrap_or("the request cannot be read"),
            ),
        }
    }

    /// Creates a 503 with the readiness report that explains it.
    pub(crate) fn unready(report: ReadinessReport) -> Self {
        let message = "the server cannot serve requests now";
        let e = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Self { readiness: Some(report), ..e }
    }

    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = shortened(&message.into());
        Self { status, code, message, field: None, retry_after: None, readiness: None }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The `error` object for the response body.
    pub(crate) fn body(&self) -> ErrorBody {
        let details = ErrorDetails {
            field: self.field.clone(),
            retry_after_seconds: self.retry_after.map(whole_seconds),
            status: self.readiness.as_ref().map(|report| report.status),
            checks: self.readiness.as_ref().map(|report| report.checks.clone()),
        };
        ErrorBody { code: self.code.into(), message: self.message.clone(), details }
    }

    /// The response without a body: its status, `Retry-After` and `WWW-Authenticate`.
    pub(crate) fn head(&self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for ApiError {
    fn from(e: Error) -> Self {
        let status = status(e.kind());
        let (message, field) = if e.kind() == ErrorKind::Internal {
            tracing::error!(error = %chain(&e), "request failed");
            ("internal error; the log has the details under this trace_id".to_owned(), None)
        } else {
            if e.detail().is_some() {
                tracing::warn!(error = %chain(&e), "request failed");
            }
            (e.message().to_owned(), e.field().map(shortened))
        };
        Self { field, retry_after: e.retry_after(), ..Self::new(status, e.kind().as_str(), message) }
    }
}

/// Maps an error kind to its status. 422 is for invalid values; a body that cannot be parsed at all is 400.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::ContextLength => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::Cancelled => StatusCode::CONFLICT,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Busy | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Misfit => StatusCode::BAD_GATEWAY,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        // `Internal`, and kinds that this version does not know.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Rounds up to whole seconds, at least 1, so that a caller that waits as told never comes too early.
fn whole_seconds(after: Duration) -> u64 {
    after.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1)
}

/// Cuts a text that may repeat a caller's input to its first 500 characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Formats the error with all its sources, for the log.
fn chain(e: &Error) -> String {
    let mut text = e.to_string();
    let mut below = std::error::Error::source(e);
    while let Some(e) = below {
        text.push_str(&format!(": {e}"));
        below = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_internal_error_is_status_500() {
        let failed = |kind: &ErrorKind| status(*kind) == StatusCode::INTERNAL_SERVER_ERROR;
        let kinds: Vec<_> = ErrorKind::ALL.into_iter().filter(failed).collect();
        assert_eq!(kinds, [ErrorKind::Internal]);
    }

    #[test]
    fn text_of_an_internal_error_is_not_sent() {
        let source = std::io::Error::other("disk /dev/secret");
        let e = ApiError::from(Error::internal("row 7 of users").with_field("users").with_source(source));
        let body = serde_json::to_string(&e.body()).unwrap();
        assert!(!body.contains("row 7") && !body.contains("secret") && !body.contains("users"), "{body}");
    }

    #[test]
    fn retry_after_is_in_the_header_and_in_the_details() {
        let e = Error::new(ErrorKind::Busy, "later").with_retry_after(Duration::from_millis(1_200));
        let e = ApiError::from(e);
        assert_eq!(e.body().details.retry_after_seconds, Some(2));
        let response = e.into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
            (503, &HeaderValue::from(2))
        );
    }
}
