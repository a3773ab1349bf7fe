//! Spans of database calls, by the OpenTelemetry conventions for databases
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-spans/>). They never contain values, which may be
//! private.

use std::sync::Arc;

use sutazai_core::{ErrorKind, Result};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

/// Operation of a call: its SQL command and, if it is about one, its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    command: &'static str,
    table: Option<Table>,
}

impl Operation {
    /// Names a command that is about no table.
    #[cfg(feature = "postgres")]
    pub(crate) const fn without_table(command: &'static str) -> Self {
        Self { command, table: None }
    }
}

/// Table that an operation is mainly about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table(pub(crate) &'static str);

impl Table {
    pub(crate) const fn select(self) -> Operation {
        Operation { command: "SELECT", table: Some(self) }
    }

    pub(crate) const fn insert(self) -> Operation {
        Operation { command: "INSERT", table: Some(self) }
    }

    pub(crate) const fn update(self) -> Operation {
        Operation { command: "UPDATE", table: Some(self) }
    }

    pub(crate) const fn delete(self) -> Operation {
        Operation { command: "DELETE", table: Some(self) }
    }
}

/// Attributes of the spans of one database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseSpans {
    attributes: Arc<Attributes>,
}

#[derive(Debug)]
struct Attributes {
    system: &'static str,
    namespace: String,
    server: Option<(String, u16)>,
}

impl DatabaseSpans {
    /// Describes a database by the `db.system.name` of the conventions, its `db.namespace`, and the host and
    /// port of its server, if it has one.
    pub(crate) fn new(system: &'static str, namespace: String, server: Option<(String, u16)>) -> Self {
        Self { attributes: Arc::new(Attributes { system, namespace, server }) }
    }

    /// Runs a call within a span, including its wait for a connection or for the writer. Calls without a current
    /// span, such as those of the engine itself, are not traced.
    pub(crate) async fn traced<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if Span::current().is_none() {
            return call.await;
        }
        let Attributes { system, namespace, server } = &*self.attributes;
        let Operation { command, table } = operation;
        let table = table.map(|Table(name)| name);
        let span = debug_span!(
            "query",
            otel.name = table.map_or_else(|| command.to_owned(), |table| format!("{command} {table}")),
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
            return call.await;
        }
        let outcome = call.instrument(span.clone()).await;
        // An error such as `NotFound` is a valid answer; only a failure of the database marks the span.
        let has_failed = |kind: ErrorKind| kind.is_transient() || kind == ErrorKind::Internal;
        if let Some(e) = outcome.as_ref().err().filter(|e| has_failed(e.kind())) {
            span.record("error.type", e.kind().as_str());
            span.record("otel.status_code", "error");
        }
        outcome
    }
}
