//! Tracing port: records spans of the `tracing` crate as parts of distributed traces.

use std::fmt::Debug;

use tracing::Span;

use crate::domain::TraceContext;

/// Recorder of spans for distributed traces.
///
/// # Contract
/// - A started span continues the trace of its parent, even of a parent without a span, and keeps the request id.
/// - Two recorded spans with the same parent have different span ids, and neither has that of the parent.
///
/// # Examples
///
/// ```
/// use sutazai_core::domain::TraceContext;
/// use sutazai_core::ports::{SilentTracer, Tracer};
///
/// let parent = TraceContext::generate();
/// let span = tracing::info_span!("work");
/// let context = SilentTracer.start(&span, &parent);
/// assert_eq!(context.id(), parent.id(), "the work belongs to the trace of its parent");
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
pub trait Tracer: Debug + Send + Sync + 'static {
    /// Starts `span`, which has not been entered yet, as a child of `parent`, and returns the context that work within
    /// it continues from. Called while [`trace::current`](crate::trace::current) is `parent`.
    fn start(&self, span: &Span, parent: &TraceContext) -> TraceContext;
}

/// Tracer that records nothing: trace ids are propagated, and spans are for the log only.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentTracer;

impl Tracer for SilentTracer {
    fn start(&self, _span: &Span, parent: &TraceContext) -> TraceContext {
        parent.clone()
    }
}
