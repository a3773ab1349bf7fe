//! Traces over OTLP: requests, tasks, agents and model calls as spans, sent to the operator's collector.
//!
//! The other crates create spans with `tracing`, and refer to traces through the [`Tracer`] port; only this module
//! uses OpenTelemetry. Nothing is sent unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

use std::sync::Arc;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use sutazai_core::domain::TraceContext;
use sutazai_core::ports::Tracer;
use sutazai_core::{Error, Result, trace};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

/// Layer that records spans, for the program's subscriber.
pub type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Exporter of spans, which sends them in batches from a thread of its own.
#[derive(Debug, Clone)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Starts the export to `{endpoint}/v1/traces` (protobuf over HTTP) under the name `service`. Batch sizes,
    /// intervals and headers are read from OpenTelemetry's environment variables.
    ///
    /// # Errors
    /// `InvalidInput` naming `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn start(endpoint: &str, service: &str) -> Result<Self> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(|e| {
                let why = format!("expected the address of a collector, as http://127.0.0.1:4318: {e}");
                Error::invalid("OTEL_EXPORTER_OTLP_ENDPOINT", why)
            })?;
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_id_generator(RequestIdGenerator::default())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self { provider })
    }

    /// Creates the layer that records spans. Log lines within a span are recorded as its events.
    pub fn layer(&self) -> SpanLayer {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("sutazai"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        // Only spans of our crates: otherwise the exporter's own requests would be traced and exported endlessly.
        let ours = Targets::new()
            .with_target("sutazai", LevelFilter::INFO)
            .with_target("sutazai_store", LevelFilter::DEBUG);
        layer.with_filter(ours).boxed()
    }

    /// Creates the tracer with which the engine continues traces.
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        Arc::new(OpenTelemetryTracer)
    }

    /// Exports the remaining spans and stops. Blocks, for several seconds if the collector does not respond.
    ///
    /// # Errors
    /// `Unavailable` when the collector did not accept all spans.
    pub fn shutdown(&self) -> Result<()> {
        let lost = |e| Error::unavailable("the last spans could not be sent").with_source(e);
        self.provider.shutdown().map_err(lost)
    }
}

/// Positions in traces, as [`Telemetry::layer`] records them.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenTelemetryTracer;

impl Tracer for OpenTelemetryTracer {
    fn start(&self, span: &Span, parent: &TraceContext) -> TraceContext {
        if parent.span_id() != 0 {
            let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
            let (trace, above) = (TraceId::from(parent.trace_id()), SpanId::from(parent.span_id()));
            let remote = SpanContext::new(trace, above, flags, true, TraceState::default());
            // Fails only for a span that is not recorded; such a span needs no parent.
            let _ = span.set_parent(Context::new().with_remote_span_context(remote));
        }
        let context = span.context();
        let here = context.span().span_context().clone();
        if here.is_valid() {
            let trace = u128::from_be_bytes(here.trace_id().to_bytes());
            parent.at(trace, u64::from_be_bytes(here.span_id().to_bytes()), here.is_sampled())
        } else {
            parent.clone()
        }
    }
}

/// Generator that gives a new trace the id of its request, so that responses, log lines and traces share one id.
#[derive(Debug, Default)]
struct RequestIdGenerator {
    random: RandomIdGenerator,
}

impl IdGenerator for RequestIdGenerator {
    fn new_trace_id(&self) -> TraceId {
        trace::current().map_or_else(|| self.random.new_trace_id(), |here| TraceId::from(here.trace_id()))
    }

    fn new_span_id(&self) -> SpanId {
        self.random.new_span_id()
    }
}
