//! Trace spans of model calls, by OpenTelemetry's conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>).
//!
//! They record the backend, the model, the limits and the token usage. Messages and answers are never recorded.

use sutazai_core::Error;
use sutazai_core::domain::{Embeddings, GenerateRequest, ModelUsage};
use tracing::field::Empty;
use tracing::{Span, info_span};

/// Opens the span of a text request to one backend; it lasts until its last handle is dropped.
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

/// Opens the span of an embedding request to one backend.
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

/// Records the usage of a successful text request.
pub(super) fn answered(span: &Span, usage: &ModelUsage) {
    span.record("gen_ai.response.model", &usage.model);
    span.record("gen_ai.response.finish_reasons", usage.finish_reason.as_str());
    span.record("gen_ai.usage.input_tokens", usage.prompt_tokens);
    span.record("gen_ai.usage.output_tokens", usage.completion_tokens);
}

/// Records the usage of a successful embedding request.
pub(super) fn embedded(span: &Span, made: &Embeddings) {
    span.record("gen_ai.response.model", &made.model);
    span.record("gen_ai.usage.input_tokens", made.prompt_tokens);
}

/// Records the kind of an error. Its text is logged, but does not enter the trace.
pub(super) fn failed(span: &Span, error: &Error) {
    span.record("error.type", error.kind().as_str());
    span.record("otel.status_code", "error");
}
