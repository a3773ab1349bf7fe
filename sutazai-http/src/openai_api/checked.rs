//! Complete answers, validated against the caller's constraint.

use sutazai_core::domain::{Constraint, FinishReason, GenerateRequest, ModelUsage};
use sutazai_core::ports::{ModelBackend, ModelBackendExt};
use sutazai_core::{Error, ErrorKind, Result, adapter};

/// Name of the constraint in errors of the core, and the parameter that callers know it by.
const CONSTRAINT: (&str, &str) = ("constraint", "response_format");

/// Completes the answer. Under a JSON Schema it conforms to the schema, unless it is marked as none: a refusal of the
/// model, or the remainder after a content filter. Backends promise this, but some servers behind them do not keep
/// the promise. So every answer is validated here; one that does not conform is requested once more, and never passed
/// on.
///
/// # Errors
/// `InvalidInput` naming `response_format` when it is not a valid schema; `InvalidInput` naming `max_tokens` when the
/// answer was cut off; `Unsupported` when no backend can enforce a schema; `Misfit` when the model's answer does not
/// conform.
pub(crate) async fn checked_answer(
    model: &dyn ModelBackend,
    request: GenerateRequest,
) -> Result<(String, ModelUsage)> {
    let Some(constraint) = request.constraint.clone() else { return model.complete(request).await };
    adapter::check_schema(&constraint).await?;
    if !model.supports(&constraint) {
        return Err(
            Error::unsupported("no model of this server supports a JSON Schema").with_field(CONSTRAINT.0)
        );
    }
    match attempt(model, request.clone(), &constraint).await {
        // A second attempt often succeeds. It drops the seed, which would reproduce the same answer.
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Misfit) => {
            tracing::info!(error = %e, "model answer rejected; retrying");
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
    let max_tokens = request.max_tokens;
    let (text, usage) = model.complete(request).await?;
    if usage.refusal.is_some() || usage.finish_reason == FinishReason::ContentFilter {
        return Ok((text, usage));
    }
    match adapter::check_answer(constraint, &text).await {
        Ok(()) => Ok((text, usage)),
        Err(_) if usage.finish_reason == FinishReason::Length => {
            let message = format!("the JSON did not end within {max_tokens} tokens; expected more of them");
            Err(Error::invalid("max_tokens", message))
        }
        Err(e) => Err(e),
    }
}

/// Renames the field of an error to the parameter that callers of the OpenAI-compatible API know.
pub(crate) fn named(e: Error) -> Error {
    match (e.kind(), e.field()) {
        (_, Some(field)) if field == CONSTRAINT.0 => e.with_field(CONSTRAINT.1),
        (ErrorKind::NotFound, None) => e.with_field("model"),
        _ => e,
    }
}
