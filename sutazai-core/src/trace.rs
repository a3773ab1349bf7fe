//! Trace context of the running code, kept in task-local storage.
//!
//! It is available wherever a request or a task runs without being passed through every call: [`run`] sets it around a
//! request and around a task, and the engine writes it into the rows of the tasks that are submitted within. Spawned
//! work does not inherit task-local values; code that spawns calls [`run`] again, or moves [`Here`] into the spawned
//! future.

use std::future::Future;
use std::sync::Arc;

use tracing::{Instrument, Span};

use crate::domain::TraceContext;
use crate::ports::Tracer;

tokio::task_local! {
    static CURRENT: TraceContext;
    static TRACER: Arc<dyn Tracer>;
}

/// Returns the trace context of this code; `None` outside of requests and tasks.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Starts `span` as a child of `parent` and returns the context that work within the span continues from.
pub fn start(tracer: &dyn Tracer, span: &Span, parent: TraceContext) -> TraceContext {
    CURRENT.sync_scope(parent.clone(), || tracer.start(span, &parent))
}

/// Runs `work` within `span`, a child of `parent`.
pub async fn run<F: Future>(tracer: Arc<dyn Tracer>, span: Span, parent: TraceContext, work: F) -> F::Output {
    let here = start(tracer.as_ref(), &span, parent);
    TRACER.scope(tracer, CURRENT.scope(here, work.instrument(span))).await
}

/// Runs `work` within `span`, a child of the current context, so that requests sent by `work` continue the trace from
/// there. Outside of requests and tasks only the span is entered, without a trace.
pub async fn within<F: Future>(span: Span, work: F) -> F::Output {
    match (TRACER.try_with(Arc::clone), current()) {
        (Ok(tracer), Some(place)) => {
            let here = start(tracer.as_ref(), &span, place);
            CURRENT.scope(here, work.instrument(span)).await
        }
        _ => work.instrument(span).await,
    }
}

/// Captured trace context and span, for work that is spawned.
#[derive(Debug)]
pub struct Here {
    span: Span,
    place: Option<(Arc<dyn Tracer>, TraceContext)>,
}

impl Here {
    /// Captures the context and the span of this code.
    pub fn current() -> Self {
        Self { span: Span::current(), place: TRACER.try_with(Arc::clone).ok().zip(current()) }
    }

    /// Runs `work` in the captured context and span.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        let work = work.instrument(self.span);
        match self.place {
            Some((tracer, here)) => TRACER.scope(tracer, CURRENT.scope(here, work)).await,
            None => work.await,
        }
    }
}
