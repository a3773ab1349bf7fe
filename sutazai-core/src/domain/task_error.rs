//! Error of an attempt, as tasks, outcomes and events carry it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Error of an attempt, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskError {
    /// Failure class of the error.
    pub kind: ErrorKind,
    /// A sentence for people. The message of an `Internal` error is not shown to callers.
    pub message: String,
}

impl From<&Error> for TaskError {
    fn from(e: &Error) -> Self {
        Self { kind: e.kind(), message: e.public_text() }
    }
}
