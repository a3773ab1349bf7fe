//! The one error type of all ports.
//!
//! Adapters map their library's errors into it in one place each. The kind is read in three places: the
//! worker (retry or not), the HTTP status table and the Python exception table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; decides over retry and over the answer's status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The caller sent something that does not fit; never retried.
    InvalidInput,
    /// The messages or texts are longer than the model's context; never retried.
    #[serde(rename = "context_length_exceeded")]
    ContextLength,
    /// No such thing, or none that this caller may see.
    NotFound,
    /// The state forbids it: a duplicate, a spent claim, a transition that does not exist.
    Conflict,
    /// Nobody is signed in, or the token is not good.
    Unauthenticated,
    /// Signed in, but not allowed.
    Forbidden,
    /// Too many requests from this caller.
    RateLimited,
    /// The server is at its limit; the same call may succeed later.
    Busy,
    /// Something that is needed cannot be reached now; temporary.
    Unavailable,
    /// A time limit ran out; temporary.
    Timeout,
    /// The answer of a model does not fit what was asked for; another attempt may give one that does.
    Misfit,
    /// Somebody asked for it to stop.
    Cancelled,
    /// This adapter cannot do that at all.
    Unsupported,
    /// A fault of ours; its text is logged and never sent to a caller.
    Internal,
}

impl ErrorKind {
    /// All of them.
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

    /// Whether trying again later can help.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Busy
                | Self::Unavailable
                | Self::Timeout
                | Self::Misfit
                | Self::Internal
        )
    }

    /// The kind in snake case, as it stands in JSON.
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

/// What went wrong: its kind, a sentence for people, the field it is about, and what lies below it.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    field: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind with a sentence for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, field: None, retry_after: None, source: None }
    }

    /// Bad input: names the field and what was expected.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message).with_field(field)
    }

    /// Messages or texts that the model's context has no room for: names the field and what was expected.
    pub fn context_length(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ContextLength, message).with_field(field)
    }

    /// No such `what`.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} not found"))
    }

    /// The state forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Something that is needed cannot be reached now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A model's answer does not fit.
    pub fn misfit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Misfit, message)
    }

    /// This adapter cannot do that.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// A time limit ran out.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// Somebody asked for it to stop.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Names the input field the error is about, as a dotted path.
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds what only operators may read, such as a path, a host or the words of another server: it is in the log and at the
    /// command line, and never sent to a caller.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says when trying again makes sense.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Keeps the error below this one.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for people, without the sources below.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What only operators may read, if there is something.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The error as callers may read it: its field and its sentence.
    pub fn public_text(&self) -> String {
        match &self.field {
            Some(field) => format!("{field}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// The input field the error is about, if it is about one.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// When trying again makes sense, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as &(dyn std::error::Error + 'static))
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        Self::internal("a stored value could not be read or written as JSON").with_source(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_field() {
        let e = Error::invalid("priority", "expected 0 to 9, got 12");
        assert_eq!(e.to_string(), "priority: expected 0 to 9, got 12");
        assert!(!e.kind().is_temporary());
    }

    #[test]
    fn the_detail_is_for_operators_only() {
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
    fn serialized_kind_is_as_str() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
