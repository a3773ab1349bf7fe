//! What a caller is told when something went wrong: the status table stands here and nowhere else.

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sutazai_core::{Error, ErrorKind};
use utoipa::ToSchema;

use crate::readiness::{HealthStatus, ReadinessCheck, ReadinessReport};

/// The most characters of an error's message and of the field that it names.
const MAX_TEXT: usize = 500;

/// An error as the caller sees it; the envelope is put around it on its way out.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    retry_after: Option<Duration>,
    readiness: Option<ReadinessReport>,
}

/// The `error` of the envelope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What kind of error it is, for programs.
    #[schema(example = "invalid_input")]
    code: &'static str,
    /// What went wrong, for people.
    message: String,
    details: ErrorDetails,
}

/// More about an error, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetails {
    /// The field, parameter or header that does not fit, with dots between the levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// After how many seconds it may be tried again; also in the header `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_seconds: Option<u64>,
    /// How the server is, where that is what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<HealthStatus>,
    /// What of it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    checks: Option<Vec<ReadinessCheck>>,
}

impl ApiError {
    /// JSON that is none, as opposed to JSON that does not fit.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// A body whose content type is not this one.
    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        let message = format!("expected a body of content type {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// A body with a content coding that is not unpacked here.
    pub(crate) fn unsupported_coding() -> Self {
        let message = "expected a body without a content coding, or with gzip";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// A request that does not open a WebSocket.
    pub(crate) fn no_handshake(e: &WebSocketUpgradeRejection) -> Self {
        let status = match e.status() {
            // What came is a request in good order, but not of this protocol.
            StatusCode::BAD_REQUEST => StatusCode::UPGRADE_REQUIRED,
            status => status,
        };
        Self::new(
            status,
            "malformed",
            format!("expected the opening handshake of a WebSocket: {}", e.body_text()),
        )
    }

    /// A body of more than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("expected a body of at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    }

    /// A body that has not arrived in time.
    pub(crate) fn slow_body(limit: Duration) -> Self {
        let message = format!("expected the whole body within {} seconds", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    /// A request of a web page that may not call this server.
    pub(crate) fn foreign_page() -> Self {
        let message = "pages of this origin may not call this server; see CORS_ORIGINS";
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Forbidden.as_str(), message)
    }

    /// What a bare status says: those of axum itself (no such path, no such method).
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(status, "not_found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method_not_allowed",
                "this path does not know this method; see the Allow header",
            ),
            StatusCode::MISDIRECTED_REQUEST => Self::new(
                status,
                "misdirected",
                "expected a Host header that names localhost, a loopback address or the address of LISTEN",
            ),
            status if status.is_server_error() => {
                Self::from(Error::internal(format!("a bare answer of {status}")))
            }
            status => Self::new(
                status,
                "malformed",
                status.canonical_reason().unwrap_or("the request cannot be read"),
            ),
        }
    }

    /// The server cannot do its work now; the report says why.
    pub(crate) fn unready(report: ReadinessReport) -> Self {
        let message = "the server cannot do its work now";
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

    /// The `error` of the envelope.
    pub(crate) fn body(&self) -> ErrorBody {
        let details = ErrorDetails {
            field: self.field.clone(),
            retry_after_seconds: self.retry_after.map(whole_seconds),
            status: self.readiness.as_ref().map(|report| report.status),
            checks: self.readiness.as_ref().map(|report| report.checks.clone()),
        };
        ErrorBody { code: self.code, message: self.message.clone(), details }
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
            tracing::error!(error = %chain(&e), "a request failed");
            ("something went wrong on our side; the log has more under this trace_id".to_owned(), None)
        } else {
            if e.detail().is_some() {
                tracing::warn!(error = %chain(&e), "a request failed");
            }
            (e.message().to_owned(), e.field().map(shortened))
        };
        Self { field, retry_after: e.retry_after(), ..Self::new(status, e.kind().as_str(), message) }
    }
}

/// 422 is for values that do not fit; a body that cannot even be read is 400.
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
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Rounded up, at least 1: a caller that waits so long has waited long enough.
fn whole_seconds(after: Duration) -> u64 {
    after.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1)
}

/// A text that may repeat what a caller sent, cut to its first 500 characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The error and everything below it, for the log.
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
    fn the_text_of_an_internal_error_is_not_sent() {
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
