//! Whole answers, checked against what the caller asked for.

use sutazai_core::domain::{Constraint, FinishReason, GenerateRequest, ModelUsage};
use sutazai_core::ports::{ModelBackend, ModelBackendExt};
use sutazai_core::{Error, ErrorKind, Result, constraints};

/// The field that core names when a constraint does not fit, and what callers know it by.
const CONSTRAINT: (&str, &str) = ("constraint", "response_format");

/// The whole answer; under a JSON Schema one that fits it, or one that says itself that it is none: a refusal of the model, or
/// what a filter of the backend left. Backends promise as much, and some servers behind them do not
/// keep it: what comes is checked here whoever wrote it, asked for once more where it does not fit, and never passed on
/// when it still does not.
///
/// # Errors
/// `InvalidInput` naming `response_format` when it is no schema; `InvalidInput` naming `max_tokens` when the answer was
/// too short to end; `Unsupported` when no backend can keep to a schema; `Misfit` when the model does not.
pub(crate) async fn checked_answer(
    model: &dyn ModelBackend,
    request: GenerateRequest,
) -> Result<(String, ModelUsage)> {
    let Some(constraint) = request.constraint.clone() else { return model.complete(request).await };
    constraints::check_schema(&constraint).await?;
    if !model.supports(&constraint) {
        return Err(Error::unsupported("no model of this server can be held to a JSON Schema")
            .with_field(CONSTRAINT.0));
    }
    match attempt(model, request.clone(), &constraint).await {
        // A model that was misled once may do better: without the seed it would do the same.
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Misfit) => {
            tracing::info!(error = %e, "an answer that is no good is asked for once more");
            attempt(model, GenerateRequest { seed: None, ..request }, &constraint).await
        }
        answer => answer,
    }
}

async fn attempt(
    model: &dyn ModelBackend,
    request: GenerateRequest,
    constraint: &Constraint,
) -> Result<(String, ModelUsage)> {
    let most = request.max_tokens;
    let (text, usage) = model.complete(request).await?;
    if usage.refusal.is_some() || usage.finish_reason == FinishReason::ContentFilter {
        return Ok((text, usage));
    }
    match constraints::check_answer(constraint, &text).await {
        Ok(()) => Ok((text, usage)),
        Err(_) if usage.finish_reason == FinishReason::Length => {
            let message = format!("the JSON did not end within {most} tokens; expected more of them");
            Err(Error::invalid("max_tokens", message))
        }
        Err(e) => Err(e),
    }
}

/// The error under the names that callers of the gateway know.
pub(crate) fn named(e: Error) -> Error {
    match (e.kind(), e.field()) {
        (_, Some(field)) if field == CONSTRAINT.0 => e.with_field(CONSTRAINT.1),
        (ErrorKind::NotFound, None) => e.with_field("model"),
        _ => e,
    }
}
