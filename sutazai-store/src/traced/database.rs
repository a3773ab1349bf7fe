//! Attributes of database spans. They never contain values, which may be private.

use std::future::Future;
use std::sync::Arc;

use sutazai_core::Result;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

/// Description of a database in spans. Cheap to clone.
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
    /// Describes a database by the `db.system.name` of the conventions, its `db.namespace`, and the host and
    /// port of its server, if it has one.
    pub(crate) fn new(system: &'static str, namespace: String, server: Option<(String, u16)>) -> Self {
        Self { names: Arc::new(Names { system, namespace, server }) }
    }

    /// Runs a call on a table within a span, including its wait for a connection or for the writer. Calls
    /// without a current span, such as those of the engine itself, are not traced.
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
        // An error such as `NotFound` is a valid answer; only a failure of the database marks the span.
        if let Some(e) = outcome.as_ref().err().filter(|e| e.kind().is_temporary()) {
            span.record("error.type", e.kind().as_str());
            span.record("otel.status_code", "error");
        }
        outcome
    }
}
