//! The trace that the running code belongs to.
//!
//! It is known wherever a request or a task runs, without being handed through every call: [`run`] sets it around a
//! request and around a task, the engine writes it into the rows of the tasks that are submitted within. Work that is
//! spawned does not inherit it; whoever spawns calls [`run`] again.

use std::future::Future;

use tracing::{Instrument, Span};

use crate::domain::TraceContext;
use crate::ports::Tracer;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The place in a trace where this code runs; none outside of requests and tasks.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Starts `span` at this place of a trace; gives the place from which what is done within it continues.
pub fn start(tracer: &dyn Tracer, span: &Span, parent: TraceContext) -> TraceContext {
    CURRENT.sync_scope(parent.clone(), || tracer.start(span, &parent))
}

/// Runs `work` within `span`, which begins at this place of a trace.
pub async fn run<F: Future>(tracer: &dyn Tracer, span: Span, parent: TraceContext, work: F) -> F::Output {
    let here = start(tracer, &span, parent);
    CURRENT.scope(here, work.instrument(span)).await
}
