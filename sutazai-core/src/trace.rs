//! The trace that the running code belongs to.
//!
//! It is known wherever a request or a task runs, without being handed through every call: [`run`] sets it around a
//! request and around a task, the engine writes it into the rows of the tasks that are submitted within. Work that is
//! spawned does not inherit it; whoever spawns calls [`run`] again, or takes [`Here`] along.

use std::future::Future;
use std::sync::Arc;

use tracing::{Instrument, Span};

use crate::domain::TraceContext;
use crate::ports::Tracer;

tokio::task_local! {
    static CURRENT: TraceContext;
    static TRACER: Arc<dyn Tracer>;
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
pub async fn run<F: Future>(tracer: Arc<dyn Tracer>, span: Span, parent: TraceContext, work: F) -> F::Output {
    let here = start(tracer.as_ref(), &span, parent);
    TRACER.scope(tracer, CURRENT.scope(here, work.instrument(span))).await
}

/// Runs `work` within `span`, which begins where this code runs: what `work` sends elsewhere continues the trace from
/// there. Outside of requests and tasks the span alone is around it.
pub async fn within<F: Future>(span: Span, work: F) -> F::Output {
    match (TRACER.try_with(Arc::clone), current()) {
        (Ok(tracer), Some(place)) => {
            let here = start(tracer.as_ref(), &span, place);
            CURRENT.scope(here, work.instrument(span)).await
        }
        _ => work.instrument(span).await,
    }
}

/// The place where code runs, for work that is spawned elsewhere.
#[derive(Debug)]
pub struct Here {
    span: Span,
    place: Option<(Arc<dyn Tracer>, TraceContext)>,
}

impl Here {
    /// Where this code runs.
    pub fn current() -> Self {
        Self { span: Span::current(), place: TRACER.try_with(Arc::clone).ok().zip(current()) }
    }

    /// Runs `work` as if it ran there.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        let work = work.instrument(self.span);
        match self.place {
            Some((tracer, here)) => TRACER.scope(tracer, CURRENT.scope(here, work)).await,
            None => work.await,
        }
    }
}
