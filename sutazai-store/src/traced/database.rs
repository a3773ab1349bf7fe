//! What a trace says of a database and of what it is asked. Never a value: those may be private.

use std::future::Future;
use std::sync::Arc;

use sutazai_core::Result;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

/// A database as traces name it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TracedDatabase {
    names: Arc<Names>,
}

#[derive(Debug)]
struct Names {
    system: &'static str,
    namespace: String,
    server: Option<(String, u16)>,
}

impl TracedDatabase {
    /// A database of this technology, by the name that the conventions give it; this one there; the host and port of its
    /// server, if it has one.
    pub(crate) fn new(system: &'static str, namespace: String, server: Option<(String, u16)>) -> Self {
        Self { names: Arc::new(Names { system, namespace, server }) }
    }

    /// Does what is asked of a table within a span: from its place in the line for a connection, or for the writer, to its
    /// end. What the engine does by itself belongs to no trace.
    pub(super) async fn traced<T>(
        &self,
        command: &'static str,
        table: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if Span::current().is_none() {
            return work.await;
        }
        let Names { system, namespace, server } = &*self.names;
        let span = debug_span!(
            "query",
            otel.name = format!("{command} {table}"),
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = system,
            db.namespace = namespace,
            db.operation.name = command,
            db.collection.name = table,
            server.address = server.as_ref().map(|(host, _)| host.as_str()),
            server.port = server.as_ref().map(|(_, port)| *port),
            error.type = Empty,
        );
        if span.is_disabled() {
            return work.await;
        }
        let outcome = work.instrument(span.clone()).await;
        // That there is no such thing is an answer; that there is none is an error.
        if let Some(e) = outcome.as_ref().err().filter(|e| e.kind().is_temporary()) {
            span.record("error.type", e.kind().as_str());
            span.record("otel.status_code", "error");
        }
        outcome
    }
}
