//! What a trace says of a call to a model, by OpenTelemetry's conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>): who was asked for how much and what it cost.
//! Never what was said.

use sutazai_core::Error;
use sutazai_core::domain::{Embeddings, GenerateRequest, ModelUsage};
use tracing::field::Empty;
use tracing::{Span, info_span};

/// A request for text to one backend; it lasts until the last handle is dropped.
pub(super) fn chat(backend: &str, request: &GenerateRequest) -> Span {
    let model = request.model.as_deref();
    info_span!(
        "chat",
        otel.name = model.map_or_else(|| "chat".to_owned(), |model| format!("chat {model}")),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = backend,
        gen_ai.request.model = model,
        gen_ai.request.max_tokens = request.max_tokens,
        gen_ai.request.temperature = request.temperature.map(f64::from),
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        error.type = Empty,
    )
}

/// A request for embeddings to one backend.
pub(super) fn embeddings(backend: &str, model: Option<&str>) -> Span {
    info_span!(
        "embeddings",
        otel.name = model.map_or_else(|| "embeddings".to_owned(), |model| format!("embeddings {model}")),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "embeddings",
        gen_ai.provider.name = backend,
        gen_ai.request.model = model,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        error.type = Empty,
    )
}

/// It ended well.
pub(super) fn answered(span: &Span, usage: &ModelUsage) {
    span.record("gen_ai.response.model", &usage.model);
    span.record("gen_ai.response.finish_reasons", usage.finish_reason.as_str());
    span.record("gen_ai.usage.input_tokens", usage.prompt_tokens);
    span.record("gen_ai.usage.output_tokens", usage.completion_tokens);
}

/// The embeddings were made.
pub(super) fn embedded(span: &Span, made: &Embeddings) {
    span.record("gen_ai.response.model", &made.model);
    span.record("gen_ai.usage.input_tokens", made.prompt_tokens);
}

/// It failed. The words of the error stay in the log.
pub(super) fn failed(span: &Span, error: &Error) {
    span.record("error.type", error.kind().as_str());
    span.record("otel.status_code", "error");
}
