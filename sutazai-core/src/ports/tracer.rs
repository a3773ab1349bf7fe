//! What records spans of the `tracing` crate as parts of traces that cross processes.

use std::fmt::Debug;

use tracing::Span;

use crate::domain::TraceContext;

/// Records spans elsewhere.
///
/// # Contract
/// - What is started continues the trace of its parent, also of one that has no span yet, and keeps its request id.
/// - Two recorded spans with one parent stand at different places, and neither at that of the parent.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait Tracer: Debug + Send + Sync + 'static {
    /// Starts `span`, which was not entered yet, as a child of `parent`; gives the place from which what is done
    /// within it continues. Called where [`trace::current`](crate::trace::current) is `parent`.
    fn start(&self, span: &Span, parent: &TraceContext) -> TraceContext;
}

/// Records nothing: the id of the trace goes on, and spans are for the log alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentTracer;

impl Tracer for SilentTracer {
    fn start(&self, _span: &Span, parent: &TraceContext) -> TraceContext {
        parent.clone()
    }
}
