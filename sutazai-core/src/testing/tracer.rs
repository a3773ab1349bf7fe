//! Conformance suite of the port [`crate::ports::Tracer`], to be run within the subscriber that the tracer belongs to.

use tracing::info_span;

use crate::domain::TraceContext;
use crate::ports::Tracer;
use crate::trace;

/// Runs every check of the contract.
pub fn run_all(tracer: &dyn Tracer) {
    span_continues_the_trace_of_its_parent(tracer);
    recorded_events_have_distinct_offsets(tracer);
}

/// A started span continues the trace of its parent, even of a parent without a span, and keeps the request id.
pub fn span_continues_the_trace_of_its_parent(tracer: &dyn Tracer) {
    let above = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let named = TraceContext::of_request("order-17").unwrap();
    for parent in [TraceContext::from_traceparent(above).unwrap(), named, TraceContext::generate()] {
        let place = trace::start(tracer, &info_span!("a"), parent.clone());
        assert_eq!(place.trace_id(), parent.trace_id());
        assert_eq!(place.id(), parent.id());
    }
}

/// Two recorded spans with the same parent have different span ids, and neither has that of the parent.
pub fn recorded_events_have_distinct_offsets(tracer: &dyn Tracer) {
    let parent = TraceContext::generate();
    let [a, b] = [info_span!("a"), info_span!("b")].map(|span| trace::start(tracer, &span, parent.clone()));
    let nothing_is_recorded = a == parent && b == parent;
    assert!(nothing_is_recorded || (a != b && a != parent && b != parent), "{parent} {a} {b}");
}

#[cfg(test)]
mod tests {
    use crate::ports::SilentTracer;

    #[test]
    fn silent_tracer_conforms() {
        super::run_all(&SilentTracer);
    }
}
