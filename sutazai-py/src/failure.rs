//! Errors on their way across the border, as JSON.

use std::any::Any;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sutazai::domain::TaskStatus;
use sutazai::{Error, ErrorKind};

/// Failure of a request, as JSON for Python.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Vec<u8>);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        failure(&error)
    }
}

fn failure(error: &Error) -> Failure {
    let retry_after = error.retry_after().map(|after| after.as_secs_f64());
    let mut cause = std::error::Error::source(error);
    let mut causes = Vec::new();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    bytes(&json!({
        "kind": error.kind(),
        "message": error.message(),
        "field": error.field(),
        "retry_after": retry_after,
        "detail": error.detail(),
        "causes": causes,
    }))
}

/// Writes the failure of a request to an engine or a client that was closed meanwhile.
pub(crate) fn closed(what: &str) -> Failure {
    bytes(&json!({ "kind": "closed", "message": format!("the {what} was closed") }))
}

/// Writes that a task has ended without a result.
pub(crate) fn ended_without_result(status: TaskStatus, task: &impl Serialize) -> Failure {
    bytes(&json!({ "kind": format!("task_{status}"), "message": "", "task": task }))
}

/// Writes the failure of a request that panicked, and logs its message.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "request panicked");
    failure(&Error::internal(format!("the request panicked: {message}")))
}

fn bytes(value: &Value) -> Failure {
    Failure(value.to_string().into_bytes())
}

/// Failure of an agent, as Python reports it.
#[derive(Debug, Deserialize)]
pub(crate) struct AgentFailure {
    kind: ErrorKind,
    message: String,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    retry_after: Option<f64>,
}

impl From<AgentFailure> for Error {
    fn from(failure: AgentFailure) -> Self {
        let mut error = Self::new(failure.kind, failure.message);
        if let Some(field) = failure.field {
            error = error.with_field(field);
        }
        match failure.retry_after.map(Duration::try_from_secs_f64) {
            Some(Ok(after)) => error.with_retry_after(after),
            Some(Err(_)) | None => error,
        }
    }
}
