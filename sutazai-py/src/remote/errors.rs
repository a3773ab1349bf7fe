//! Errors of a server, and of the connection to it.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use sutazai::{Error, ErrorKind};
use sutazai_bodies::error::ErrorBody;

/// Message of a response to a path that no route has.
const NO_ROUTE: &str = "there is nothing at this path";

/// Error response of the API.
#[derive(Deserialize)]
struct Failure {
    error: ErrorBody,
}

/// Error response of the OpenAI-compatible API.
#[derive(Deserialize)]
struct ProtocolFailure {
    error: ProtocolError,
}

/// Error of the OpenAI-compatible API.
#[derive(Debug, Deserialize)]
pub(super) struct ProtocolError {
    message: String,
    param: Option<String>,
    code: String,
}

impl From<ProtocolError> for Error {
    fn from(e: ProtocolError) -> Self {
        let kind = match e.code.as_str() {
            "invalid_api_key" => ErrorKind::Unauthenticated,
            "rate_limit_exceeded" => ErrorKind::RateLimited,
            "model_not_found" | "unknown_url" => ErrorKind::NotFound,
            code => kind(code, StatusCode::BAD_REQUEST),
        };
        let error = Self::new(kind, e.message);
        match e.param {
            // The names that the requests of the engine have.
            Some(field) if field.starts_with("response_format") => error.with_field("constraint"),
            Some(field) => error.with_field(field),
            None => error,
        }
    }
}

/// Returns the kind of the error with this code.
fn kind(code: &str, status: StatusCode) -> ErrorKind {
    let known = serde_json::from_value(Value::from(code));
    known.unwrap_or_else(|_| match code {
        "method_not_allowed" | "method_not_supported" => ErrorKind::Unsupported,
        "misdirected" => ErrorKind::Forbidden,
        // A request that cannot be read, is too large, or has another content type.
        _ => of_status(status),
    })
}

/// Returns the kind of an error of which only the status is known.
fn of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 | 407 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimited,
        501 => ErrorKind::Unsupported,
        400..=499 => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    }
}

/// Returns the error of the API.
pub(super) fn of_body(body: ErrorBody, status: StatusCode) -> Error {
    let kind = kind(&body.code, status);
    if kind == ErrorKind::NotFound && body.message == NO_ROUTE {
        return Error::unsupported(
            "this server has no such route; it may be another program, or an older version",
        );
    }
    let mut error = Error::new(kind, body.message);
    if let Some(field) = body.details.field {
        error = error.with_field(field);
    }
    match body.details.retry_after_seconds {
        Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
        None => error,
    }
}

/// Returns the error of a response with a status other than 2xx. `retry_after` is its header.
pub(super) fn refused(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Error {
    let error = if let Ok(failure) = serde_json::from_slice::<Failure>(body) {
        of_body(failure.error, status)
    } else if let Ok(failure) = serde_json::from_slice::<ProtocolFailure>(body) {
        failure.error.into()
    } else {
        Error::new(of_status(status), format!("the server answered {status} without an error of its own"))
    };
    match retry_after {
        Some(after) if error.retry_after().is_none() => error.with_retry_after(after),
        _ => error,
    }
}

/// Returns the error of a request that was not answered. Its text has no address, which may contain a secret.
pub(super) fn not_answered(e: reqwest::Error) -> Error {
    let message =
        if e.is_connect() { "the server cannot be reached" } else { "the server broke off the connection" };
    Error::unavailable(message).with_source(e.without_url())
}

/// Returns the error of a response that was not sent to its end.
pub(super) fn broken_off(e: reqwest::Error) -> Error {
    Error::unavailable("the server broke off its answer").with_source(e.without_url())
}

/// Returns the error of a response that does not have the expected form.
pub(super) fn unexpected(e: serde_json::Error) -> Error {
    let message = "expected an answer of a SutazAI server of this version, got another one";
    Error::unavailable(message).with_source(e)
}
