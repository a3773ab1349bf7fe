//! Error type shared by all ports.
//!
//! Each adapter maps its library's errors into [`Error`] in one place. Callers decide by [`ErrorKind`]: whether a call is
//! repeated ([`ErrorKind::is_transient`]), which HTTP status a response has (`sutazai-http/src/error.rs`), and with which
//! code a command exits (`src/cli/exit.rs`). Python has one exception for each kind (`sutazai-py/python/sutazai/errors.py`).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `Result` whose error type is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failure class of an [`Error`]; decides whether a call is repeated, which HTTP status a response has, and with which
/// code a command exits.
///
/// Four kinds are transient: they may pass by themselves. The worker retries a task after these and also after `Misfit`
/// and `Internal`, because another run of an agent is more than a repetition of the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input of the caller is invalid.
    InvalidInput,
    /// The messages or texts exceed the model's context.
    #[serde(rename = "context_length_exceeded")]
    ContextLength,
    /// The object does not exist, or this caller may not see it.
    NotFound,
    /// The current state forbids the call: a duplicate, a lost claim, an impossible transition.
    Conflict,
    /// The request has no credentials, or they are invalid or expired.
    Unauthenticated,
    /// The caller is authenticated but lacks the permission.
    Forbidden,
    /// The caller exceeded a rate limit; transient.
    RateLimited,
    /// The server is at its capacity limit; transient.
    Busy,
    /// A dependency cannot be reached now; transient.
    Unavailable,
    /// A time limit was exceeded; transient.
    Timeout,
    /// The model's answer violates the requested constraint; another answer may conform.
    Misfit,
    /// The work was cancelled on request.
    Cancelled,
    /// The adapter does not support this operation at all.
    Unsupported,
    /// A bug or an unexpected condition on our side. The text is logged and never sent to a caller.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 14] = [
        Self::InvalidInput,
        Self::ContextLength,
        Self::NotFound,
        Self::Conflict,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::RateLimited,
        Self::Busy,
        Self::Unavailable,
        Self::Timeout,
        Self::Misfit,
        Self::Cancelled,
        Self::Unsupported,
        Self::Internal,
    ];

    /// Returns whether the error may pass by itself, so that the same call can succeed later: `RateLimited`, `Busy`,
    /// `Unavailable` and `Timeout`.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Busy | Self::Unavailable | Self::Timeout)
    }

    /// Returns the kind in snake case, as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::ContextLength => "context_length_exceeded",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Misfit => "misfit",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its kind, a sentence for people, the input field it concerns and its source.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.full_text())]
pub struct Error {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    field: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Cause>,
}

/// Underlying error, shared by the clones of an [`Error`].
///
/// It is not an error itself: `source()` must return the library's own error, which callers downcast, and an `Arc` of an
/// error would be returned in its place.
#[derive(Debug, Clone)]
struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Deref for Cause {
    type Target = dyn std::error::Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Error {
    /// Creates an error of this kind with a sentence for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, field: None, retry_after: None, source: None }
    }

    /// Creates an `InvalidInput` error that names the field and says what was expected.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message).with_field(field)
    }

    /// Creates a `ContextLength` error that names the field and says what was expected.
    pub fn context_length(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ContextLength, message).with_field(field)
    }

    /// Creates a `NotFound` error with the text `{what} not found`.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} not found"))
    }

    /// Creates a `Conflict` error: the current state forbids the call.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Creates an `Unavailable` error: a dependency cannot be reached now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Creates a `Misfit` error: a model's answer violates its constraint.
    pub fn misfit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Misfit, message)
    }

    /// Creates an `Unsupported` error: the adapter cannot perform the operation.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Creates a `Timeout` error: a time limit was exceeded.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// Creates a `Cancelled` error: the work was cancelled on request.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, message)
    }

    /// Creates an `Internal` error, whose text is logged and never sent to a caller.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Creates an `Internal` error: a value of this program could not be written as JSON, or a stored one not read.
    ///
    /// There is no `From` for errors of JSON, because the kind depends on the origin of the value: one from a caller is
    /// `InvalidInput`.
    pub fn json(e: serde_json::Error) -> Self {
        Self::internal("a stored value could not be read or written as JSON").with_source(e)
    }

    /// Sets the input field that the error concerns, as a dotted path.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds details for operators only, such as a path, a host or the response of another server. Logs and the command
    /// line show them; callers never see them.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the time after which a retry makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Sets the underlying error as the source.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Cause(Arc::new(source)));
        self
    }

    /// Returns the failure class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the sentence for people, without detail and sources.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the details for operators, if there are any.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Returns the text that callers may read: the field, if any, and the sentence.
    pub fn public_text(&self) -> String {
        match &self.field {
            Some(field) => format!("{field}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// Returns the text for operators: the public text and the details.
    fn full_text(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.public_text()),
            None => self.public_text(),
        }
    }

    /// Returns the input field that the error concerns, if any.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Returns the time after which a retry makes sense, if known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<std::io::Error> for Error {
    /// Keeps the error as the source, and its text as a detail for operators. A lost or refused connection is
    /// `Unavailable`, so that the task is retried; `Timeout` and `Unsupported` stay so; everything else is `Internal`.
    fn from(e: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match e.kind() {
            Io::TimedOut => ErrorKind::Timeout,
            Io::Unsupported => ErrorKind::Unsupported,
            Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::NotConnected
            | Io::BrokenPipe
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::Interrupted
            | Io::WouldBlock => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, "input or output failed").with_detail(e.to_string()).with_source(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_of_an_io_error_says_whether_a_retry_may_help() {
        for (io, kind) in [
            (std::io::ErrorKind::ConnectionRefused, ErrorKind::Unavailable),
            (std::io::ErrorKind::TimedOut, ErrorKind::Timeout),
            (std::io::ErrorKind::PermissionDenied, ErrorKind::Internal),
        ] {
            let e = Error::from(std::io::Error::new(io, "/etc/shadow"));
            assert_eq!(
                (e.kind(), e.message(), e.detail()),
                (kind, "input or output failed", Some("/etc/shadow"))
            );
        }
    }

    #[test]
    fn display_names_the_field() {
        let e = Error::invalid("priority", "expected 0 to 9, got 12");
        assert_eq!(e.to_string(), "priority: expected 0 to 9, got 12");
    }

    #[test]
    fn detail_is_not_in_the_public_text() {
        let e = Error::unavailable("the database cannot be reached")
            .with_detail("db.internal:5432")
            .with_field("x");
        assert_eq!(e.to_string(), "x: the database cannot be reached: db.internal:5432");
        assert_eq!(
            (e.message(), e.public_text().as_str()),
            ("the database cannot be reached", "x: the database cannot be reached")
        );
    }

    #[test]
    fn only_errors_that_pass_by_themselves_are_transient() {
        let transient: Vec<_> = ErrorKind::ALL.into_iter().filter(|kind| kind.is_transient()).collect();
        use ErrorKind::{Busy, RateLimited, Timeout, Unavailable};
        assert_eq!(transient, [RateLimited, Busy, Unavailable, Timeout]);
    }

    #[test]
    fn source_is_the_underlying_error_itself() {
        use std::error::Error as _;
        let e = Error::unavailable("the file cannot be read")
            .with_source(std::io::Error::from(std::io::ErrorKind::NotFound));
        let source = e.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        assert_eq!(source.map(std::io::Error::kind), Some(std::io::ErrorKind::NotFound));
        assert!(Error::conflict("x").source().is_none());
    }

    #[test]
    fn serialized_kind_is_as_str() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
